"""Checks of homework elbo: KL, the VAE's bound, the term of a step, the bins, a fair estimate of the sum.

Above each check stand the mistakes that it was written for; the master tries them all. The numbers
below were computed once, on paper or with torch.distributions; no check computes an answer.
"""

import torch

from helpers.checks import Hint, close, exercise, expect, finite, same, shape_like, shown, summary_of

ABAR = torch.tensor([1.0, 0.8, 0.5, 0.3, 0.1])  # ᾱ_0 … ᾱ_4; at t = 4: α = 1/3, β = 2/3


# Mean over the coordinates; variance squared; the two exchanged; − 1 or ½ forgotten; sign of the log;
# the second part once and not D times, or twice D times; divided by the first variance, or times the
# second; summed over the batch; (B,) plus (B, 1).
@exercise
def gaussian_kl(gaussian_kl):
    def ask(m1, v1, m2, v2):
        m1, v1, m2, v2 = (torch.tensor(v) for v in (m1, [[v1]], m2, [[v2]]))
        answer = gaussian_kl(m1, v1, m2, v2)
        shape_like(answer, torch.zeros(len(m1)), "Your answer (one KL for each row)")
        finite(answer)
        return answer[0].item()

    pair = gaussian_kl(torch.zeros(2, 3), torch.ones(2, 1), torch.ones(2, 3), torch.ones(2, 1))
    expect(
        getattr(pair, "shape", None) != (2, 2),
        "A tensor (B,) plus a tensor (B, 1) becomes a table (B, B). `v1[:, 0]` has the shape (B,).",
    )
    shape_like(pair, torch.zeros(2), "Two rows of three coordinates: your answer (one KL for each row)")
    equal = ask([[1.0, -2.0]], 0.7, [[1.0, -2.0]], 0.7)
    expect(
        close(equal, 0.0),
        f"Two equal Gaussians have KL 0, yours is {equal:.4g}. Is a term (perhaps the − 1) missing, or "
        "squared that should not be?",
    )
    away = ask([[0.0, 0.0]], 1.0, [[3.0, 4.0]], 1.0)
    expect(not close(away, 6.25), "You take a mean over the coordinates. The KLs of coordinates *add up*.")
    expect(not close(away, 25.0), "Means 5 apart, variances 1: half of 25. Where is the factor ½?")
    same(away, 12.5, "Means (0, 0) and (3, 4), both variances 1: {expected} nats, not {got}.")
    wide = ask([[0.0]], 1.0, [[0.0]], 4.0)
    expect(
        not close(wide, 0.806853),
        "The two Gaussians have changed places: a narrow truth and a wide belief cost 0.318, you "
        "say 0.807. Which variance is above, v1 or v2?",
    )
    expect(
        not close(wide, 0.917544),
        "You square the variance. v1 and v2 *are* variances: their ratio is v1/v2 as it stands.",
    )
    expect(wide > 0, f"No KL is below 0, but yours is {wide:.4g}. Look at the sign of the logarithm.")
    expect(not close(wide, 0.636294), "Same mean, variances 1 and 4: twice too much. Where is the ½?")
    same(wide, 0.318147, "Mean 0, variances 1 and 4, one coordinate: {expected} nats, not {got}.")
    both = ask([[0.0, 0.0, 0.0]], 1.0, [[0.0, 0.0, 0.0]], 4.0)
    expect(
        not close(both, 0.318147),
        "With three coordinates the part with the variances is as large for you as with one. Each "
        "coordinate has its own: D times. (D is mean1.shape[1]; len(mean1) counts the rows.)",
    )
    expect(
        not close(both, 2.863323),
        "Three coordinates count ninefold: the part with the variances is multiplied by D *and* summed "
        "over the coordinates. One of the two is enough.",
    )
    same(both, 0.954441, "Variances 1 and 4 in three coordinates: {expected}, not {got}.")
    got = ask([[2.0]], 1.0, [[0.0]], 4.0)
    expect(
        not close(got, 2.318147),
        "The distance of the means is divided by v1. It is the *belief*, v2, that finds it far or near.",
    )
    expect(not close(got, 8.318147), "You multiply by v2. `a / 2 * v2` is (a/2)·v2: put brackets, (2 * v2).")
    same(got, 0.818147, "Means 2 apart, variances 1 and 4: {expected}, not {got}.")
    far, zero, one = torch.tensor([[3.0, 4.0], [2.0, 0.0]]), torch.zeros(2, 2), torch.ones(2, 1)
    same(
        gaussian_kl(far, one, zero, torch.tensor([[1.0], [4.0]])),
        torch.tensor([12.5, 1.136294]),
        "Two rows with v2 = 1 and 4: {expected}, but you have {got}. Each row has its own means and "
        "variances.",
    )
    return "the price of a wrong belief, coordinate by coordinate: all of L_T and L_{t−1} is made of it."


# Spread of z forgotten, a for a², or a = 1 as in the lecture; KL added, or the other way round; b for
# b²; no normaliser; s taken for a variance; minus everywhere.
@exercise
def vae_elbo(vae_elbo):
    def ask(x, m, s, a, b):
        x, m, s = (torch.tensor([float(v)]) for v in (x, m, s))
        answer = vae_elbo(x, m, s, a, b)
        shape_like(answer, x)
        finite(answer)
        return answer.item()

    shape_like(vae_elbo(*torch.ones(3, 4), 1.0, 1.0), torch.ones(4))
    plain = ask(0, 0, 1, 0.0, 1.0)
    expect(plain < 0.9, "Here the ELBO is log N(0; 0, 1) = −0.919, you have plus. Bound, or loss?")
    expect(
        not close(plain, 0.0), "log N(x; …) has a part in front of the square, −½ log(2πb²). It is missing."
    )
    expect(
        not close(plain, -1.418939) or not close(ask(0, 0, 2, 0.0, 1.0), -2.225792),
        "Here q = p, so the KL is 0, but yours is ½. Is a term of it missing?",
    )
    expect(
        not close(plain, -1.418939),
        "With a = 0 the decoder does not look at z at all, yet the spread s² of z costs you something. "
        "In the lecture a was 1: what is the spread of az?",
    )
    same(plain, -0.918939, "a = 0, b = 1, x = 0, q = p: only log N(0; 0, 1) = {expected}, not {got}.")
    wide = ask(0, 0, 1, 0.0, 2.0)
    expect(not close(wide, -1.265512), "b is the *standard deviation* of the decoder, so its variance is b².")
    same(wide, -1.612086, "The same with b = 2: {expected}, not {got}. Is b squared everywhere?")
    off = ask(2, 0, 1, 0.0, 2.0)
    same(off, -2.112086, "a = 0, b = 2, x = 2: {expected}, not {got}. The square is divided by 2b².")
    kl = ask(0, 1, 1, 0.0, 1.0)
    expect(not close(kl, -0.418939), "The KL is a price: it goes off, yours comes on top.")
    expect(
        not close(kl, -1.918939) or not close(ask(0, 1, 1, 0.0, 2.0), -2.237086),
        "With a = 0 the decoder does not look at z at all, yet the first part feels m. What is the mean of "
        "az?",
    )
    same(kl, -1.418939, "q = N(1, 1) against p = N(0, 1) costs ½ nat: {expected}, you have {got}.")
    narrow = ask(0, 0, 2, 0.0, 1.0)
    expect(
        not close(narrow, -1.237086),
        "Your KL runs the other way, from p(z) to q(z|x). The mean is taken over q, so q stands first.",
    )
    expect(not close(narrow, -1.072365), "s is a standard deviation; you treat it as a variance.")
    same(narrow, -1.725792, "q = N(0, 2²), a = 0: {expected}, not {got}. Look at the KL.")
    spread = ask(0, 0, 1, 2.0, 1.0)
    expect(
        not close(spread, -0.918939),
        "You rebuild x from the *mean* of z alone. z is drawn: E[(x − az)²] is more than (x − am)².",
    )
    expect(not close(spread, -1.918939), "The spread of az is a²s², not a·s².")
    same(spread, -2.918939, "a = 2, x = m = 0, s = b = 1: {expected}, not {got}.")
    best = ask(1.2, 0.96, 0.4472136, 1.0, 0.5)
    same(best, -1.606511, "With q = p(z|x) the ELBO is log p(x) = {expected}; yours is {got}.")
    same(
        vae_elbo(*torch.tensor([[1.2, 0.0], [0.96, 0.0], [0.4472136, 1.0]]), 1.0, 0.5),
        torch.tensor([-1.606511, -2.225791]),
        "Two x at once: {expected}, but you have {got}. Each x has its own ELBO: no mean over the batch.",
    )
    return (
        "rebuild, minus the price of being special. At the true p(z|x) it equals log p(x); a diffusion "
        "model has the same bound, with noise for the encoder."
    )


# Mean for the sum; ½ forgotten; ᾱ for α; β̃ for σ²; β² not divided by σ²; α or 1 − ᾱ forgotten; a root
# too many; index one too low; t[0] for all; no square; (B,) along the wrong axis.
@exercise
def step_term(step_term):
    t = torch.tensor([2, 3, 4, 3])
    eps = torch.tensor([[1.0, 2, 3, 4], [0, 1, 0, 1], [2, 2, 1, 1], [-1, 0, 3, 1]])
    guess = torch.tensor([[0.5, 1, -1, 2], [1, 2, 1, 0], [0, 1, 0, 3], [2, -2, 0, 1]])
    answer = step_term(eps, guess, t, ABAR)
    shape_like(answer, torch.zeros(4), "Your answer (one number for each row)")
    finite(answer)
    alone = torch.cat([step_term(eps[i : i + 1], guess[i : i + 1], t[i : i + 1], ABAR) for i in range(4)])
    expect(
        close(answer, alone),
        "A row's term changes with the rows beside it. Each row has its own t: pick the numbers with the "
        "whole tensor t, and add up over the coordinates only.",
    )
    zero = step_term(eps[:1], eps[:1], t[:1], ABAR).item()
    same(zero, 0.0, "A perfect guess costs {expected} here (the constant is left out), not {got}.")

    def at_4(size, count=1):
        one = torch.full((1, count), float(size))
        return step_term(one, 0 * one, torch.tensor([4]), ABAR).item()

    got = at_4(1.0)
    expect(
        close(at_4(2.0), 4 * got), "Twice the error should cost four times as much. Is the distance squared?"
    )
    expect(
        not close(at_4(1.0, 4), got),
        "Four wrong coordinates cost as much as one: you take the mean. ‖…‖² is a *sum* over coordinates.",
    )
    expect(not close(got, 2.222222), "Twice too much: the KL of two Gaussians has a ½ in front.")
    expect(not close(got, 3.703704), "Look at the α below the line: is there a bar over it?")
    expect(
        not close(got, 1.428571),
        "This is the weight with the small variance β̃_t; σ_t² = β_t was asked for. Or does 1 − ᾱ_{t−1} "
        "stand where 1 − ᾱ_t should? (Both give this number.)",
    )
    expect(not close(got, 0.740741), "You have left out σ_t² below the line: β² over β leaves one β.")
    expect(not close(got, 1.666667), "You divide by β². The large variance is σ_t² = β_t, not σ_t = β_t.")
    expect(not close(got, 1.0), "Where is 1 − ᾱ_t? Without it the weight does not feel how noisy x_t is.")
    expect(not close(got, 1.054093), "1 − ᾱ_t stands without a root: the difference was squared.")
    expect(not close(got, 0.37037), "α_t is missing below the line.")
    expect(
        not close(got, 0.47619),
        "That is the weight of t = 3. Is an index one too low? Entry number t of the table is ᾱ_t.",
    )
    same(got, 1.111111, "At t = 4 (α = 1/3, β = 2/3, ᾱ = 0.1) an error of 1 costs {expected}, not {got}.")
    same(
        answer,
        torch.tensor([12.75, 1.904762, 11.111111, 10.47619]),
        "t = 4 alone is right, but a batch with t = 2, 3, 4, 3 gives {got}, not {expected}.",
    )
    return (
        "up to a constant, the weighted error of the noise is a KL of Gaussians. Leave the weight out, and "
        "it is L_simple, the loss of session ddpm."
    )


# Nats; sum for mean; mean over the batch too; closed outer bins; a bin twice too wide, half, or 1/levels;
# density times width; variance for std, or no std; sign; the logarithm of a mean.
@exercise
def bits(bits):
    def ask(x0, mean=0.0, std=1.0, levels=3):
        x0 = torch.tensor(x0).view(len(x0), 1, 1, -1)
        answer = bits(x0, torch.full_like(x0, mean), std, levels)
        shape_like(answer, torch.zeros(len(x0)), "Your answer (one number for each picture)")
        finite(answer)
        return answer

    one = ask([[0.0]])[0].item()
    expect(one > 0, f"A probability is below 1, so its bits are above 0; yours are {one:.4g}. A sign?")
    expect(not close(one, 0.959916), "These are nats. A bit is log 2 = 0.693 of them.")
    expect(
        not close(one, 1.325748),
        "You take the density in the middle of the bin. The *area* was asked for: Φ at its upper edge minus "
        "Φ at its lower one.",
    )
    expect(not close(one, 0.5506985, 1e-3), "Your bins overlap: h is *half* the distance of two levels.")
    expect(
        not close(one, 1.93723, 1e-3),
        "Your bins are too narrow. Three levels, −1, 0, 1, have two gaps between them, not three.",
    )
    expect(
        not close(one, 2.340745, 1e-3),
        "Your bins leave gaps. Levels −1, 0, 1 are 1 apart, so the bin of 0 goes from −½ to ½.",
    )
    same(one, 1.384867, "Levels −1, 0, 1; v = 0 under N(0, 1): {expected} bits, not {got}.", 1e-3)
    thin = ask([[0.0]], std=0.5)[0].item()
    expect(
        not close(thin, 1.384867, 1e-3),
        "With std 0.5 you get the same as with 1. Φ belongs to N(0, 1): divide by std before you ask it.",
    )
    expect(
        not close(thin, 0.0671845, 1e-3) and not close(thin, 0.942031, 1e-3),
        "With std 0.5 the width is wrong: you square it, or take its root. It is a standard deviation.",
    )
    same(thin, 0.5507, "v = 0 under N(0, 0.5²): {expected} bits, not {got}.", 1e-3)
    edge = ask([[1.0]])[0].item()
    expect(
        not close(edge, 2.04853, 1e-3),
        "The masses of your bins do not add up to 1: what lies beyond 1 belongs to the last bin.",
    )
    same(edge, 1.696481, "v = 1, the last bin, under N(0, 1): {expected} bits, not {got}.", 1e-3)
    same(
        ask([[-1.0]])[0].item(),
        1.696481,
        "v = −1, the first bin, is as heavy as the last: {expected}, not {got}.",
        1e-3,
    )
    long = ask([[0.0, 0.0, 0.0, 0.0]])[0].item()
    expect(
        not close(long, 5.539466, 1e-2),
        "A picture with four equal pixels needs four times the bits of one: that is the sum. "
        "Bits *per dimension* are asked for.",
    )
    two = ask([[0.0, 1.0], [1.0, -1.0]])
    expect(
        not close(two[0], 1.532291, 1e-3),
        "You take the logarithm of a mean. First the bits of each pixel, then their mean.",
    )
    same(
        two,
        torch.tensor([1.540674, 1.696481]),
        "Two pictures of two pixels: {expected} bits/dim, not {got}. Each picture has its own mean.",
        1e-3,
    )
    shifted = ask([[0.125, -1.0, 1.0]], mean=0.2, std=0.3, levels=17)[0].item()
    same(shifted, 7.83752, "17 levels, N(0.2, 0.3²): {expected} bits/dim, not {got}.", 1e-2)
    return (
        "what the pixels cost once x_1 is known. At 256 levels this is L_0, the distortion of DDPM: "
        "1.97 of its 3.75 bits on CIFAR-10."
    )


class Asked:
    """A term for checks: remembers the steps it was asked for; answers by a function of t."""

    def __init__(self, answer):
        self.answer, self.seen = answer, []

    def __call__(self, t):
        if not torch.is_tensor(t) or t.ndim != 1 or t.is_floating_point():
            said = f"a tensor of shape {tuple(t.shape)}" if torch.is_tensor(t) else f"{t!r}"
            raise Hint(f"term wants whole steps, a long tensor (n,); it was given {said}.")
        self.seen += t.tolist()
        return self.answer(t)


# Mean for the sum; T for T − 1; t = 1 drawn, T never; one t for all; √n forgotten, or the factor T − 1;
# the variance for the error; every t once instead of n random ones.
@exercise
def estimate(estimate):
    flat = Asked(lambda t: torch.ones(len(t)))
    answer = estimate(flat, 10, 4000)
    shape_like(answer, (torch.tensor(0.0), torch.tensor(0.0)), "Your answer (the sum, its standard error)")
    seen = flat.seen
    expect(len(seen) == 4000, f"n = 4000 random steps were asked for; term saw {len(seen)}.")
    expect(
        len(set(seen)) > 1, f"All your draws are at t = {seen[0]}. Each of the n draws has its own random t."
    )
    expect(min(seen) != 1, "Your t can be 1. That term is L_0, and it is not part of this sum: 2 … T.")
    expect(min(seen) > 0, f"Your t can be {min(seen)}; the steps of this sum are 2 … T.")
    expect(max(seen) <= 10, f"T = 10, but you asked for t = {max(seen)}. Where does randint stop?")
    expect(max(seen) == 10, "t = T never comes. torch.randint(low, high) stops one *before* high.")
    expect(len(set(seen)) == 9, "Not all of 2 … 10 come. Each step must have its chance.")
    counts = torch.tensor(seen).bincount()[2:]
    expect(counts.max() < 1.5 * counts.min(), f"All t must be equally frequent; yours are {shown(counts)}.")
    total, error = (float(v) for v in answer)
    expect(not close(total, 1.0), "Nine terms of 1 add up to 9, you say 1: that is their mean.")
    expect(
        not close(total, 10.0),
        "Nine terms of 1 add up to 9, you say 10. How many steps are there from 2 to T?",
    )
    same(total, 9.0, "T = 10 and every term is 1: the sum is {expected}, not {got}.")
    same(error, 0.0, "Nothing varies, so the standard error is {expected}, not {got}.")

    total, error = (float(v) for v in estimate(Asked(lambda t: t.float()), 10, 4000))
    expect(
        abs(total - 54) < 2, f"The terms 2, 3, … 10 add up to 54; {total:.4g} is too far away for 4000 draws."
    )
    expect(not 20 < error < 28, "That is the spread of one draw. A mean of n draws varies less, by √n.")
    expect(
        not 0.035 < error < 0.05,
        "That is the standard error of the *mean* of the terms. You multiplied the mean; so also its error.",
    )
    expect(
        not 0.12 < error < 0.15,
        "That is the *variance* of your estimate. Its root, please: the same unit as the sum.",
    )
    expect(not 0.005 < error < 0.0066, "You divide by n. The error of a mean falls with the *root* of n.")
    expect(
        0.34 < error < 0.39,
        f"The terms 2 … 10, 4000 draws: standard error about 0.37, not {error:.4g}. Is it the standard "
        "deviation (not the variance) of the y_i, over √n, times T − 1?",
    )
    return (
        "right on average, from a few random steps, and with a ± beside it. Training does the same, with one "
        "random t for each picture."
    )


summary = summary_of(__name__)
