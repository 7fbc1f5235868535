"""Checks of homework reverse_process: the posterior, the best guess, score and mean, the walk back.

Above each check stand the mistakes that it was written for; the master tries them all. The numbers
below were computed once, on paper or with helpers.samplers; no check computes an answer.
"""

import torch

from helpers.checks import Hint, close, exercise, expect, finite, same, shape_like, summary_of

ABAR = torch.tensor([1.0, 0.8, 0.5, 0.3, 0.1])  # ᾱ_0 … ᾱ_4; at t = 3: α = 0.6, β = 0.4


def rows(number, t):
    """A column (B, 1) of one number, as many rows as t has."""
    return torch.full((len(t), 1), float(number))


def own_step(answer, alone, what):
    """Ask that a row's answer does not depend on the rows beside it."""
    hint = (
        f"A row of {what} changes with the rows beside it. Each row has its own t: pick the numbers "
        "with the whole tensor t, and make them a column, (B, 1), before they meet (B, D)."
    )
    expect(close(answer, alone), hint)


# Mean: weights exchanged; ᾱ_t for ᾱ_{t−1}; index one too low; ᾱ without root; ᾱ_t for α_t under the
# root; 1 − ᾱ_t for β_t; t[0] for all; (B,) along the wrong axis. Variance: β; its root; the fraction
# upside down; 1 − ᾱ_{t−1} alone; the precision.
@exercise
def posterior(posterior):
    t = torch.tensor([1, 2, 3, 4])
    x0 = torch.tensor([[1.0, 2, 3, 4], [0, 1, 0, 1], [2, 2, 1, 1], [-1, 0, 3, 1]])
    x_t = torch.tensor([[0.5, 1, -1, 2], [1, 2, 1, 0], [0, 1, 0, 3], [2, -2, 0, 1]])
    mean, variance = pair(posterior(x0, x_t, t, ABAR), (x0, rows(0, t)), "mean, variance")
    bad = not (torch.isfinite(mean).all() and torch.isfinite(variance).all())
    expect(
        not bad,
        "NaN or infinity, at t = 1 perhaps: there ᾱ_{t−1} = ᾱ_0 = 1, and 1 − ᾱ_0 is 0. You divide by "
        "it. Is a fraction upside down, or an index one too low? alphas_cumprod[t] is ᾱ_t.",
    )
    singles = [posterior(x0[i : i + 1], x_t[i : i + 1], t[i : i + 1], ABAR) for i in range(4)]
    own_step(mean, torch.cat([m for m, _ in singles]), "the mean")
    own_step(variance, torch.cat([v for _, v in singles]), "the variance")

    at_3 = torch.tensor([3])
    one, zero = rows(1, at_3), rows(0, at_3)
    first = posterior(x0[:1], x_t[:1], t[:1], ABAR)[0]
    expect(
        not close(first, x_t[:1]),
        "At t = 1 your mean is x_t, but one step before x_1 stands x_0. Have x_0 and x_t changed places?",
    )
    expect(
        not close(first, 0.2 * x0[:1]),
        "At t = 1 your mean is β_1·x_0, not x_0. Is every part divided by 1 − ᾱ_t? Look at the brackets.",
    )
    expect(
        not close(first, 4 * x0[:1]),
        "At t = 1 your mean is 4·x_0, but it must be x_0. ᾱ_1 is 0.8 here: is your β_1 really 0.2?",
    )
    same(
        first,
        x0[:1],
        "At t = 1 the mean must be x_0 = {expected} itself: one step before x_1 stands x_0. Yours is "
        "{got}. Which ᾱ is the one before the step?",
    )
    of_x0, of_xt = (posterior(a, b, at_3, ABAR)[0].item() for a, b in ((one, zero), (zero, one)))
    expect(
        not close(of_x0, 0.7071068),
        "Your weight of x_0 is √ᾱ_{t−1} alone, as if β_t were 1 − ᾱ_t. β belongs to one step, "
        "1 − ᾱ to all steps up to t. How does one get α_t from two neighbours of the table?",
    )
    expect(
        not close(of_xt, 0.3912304),
        "In the weight of x_t stands √ᾱ_t. Look again: is there a bar over this α?",
    )
    expect(not close(of_x0, 0.2857143), "In the weight of x_0 stands ᾱ_{t−1} itself. Is a root missing?")
    expect(not close(of_xt, 0.4285714), "In the weight of x_t stands α_t itself. Is a root missing?")
    quiet = of_x0 + of_xt * 0.3**0.5  # with ε = 0: x_t = √ᾱ_t · x_0
    same(
        quiet,
        0.7071068,
        "A path without noise: ᾱ_2 = 0.5, ᾱ_3 = 0.3, x_0 = 1, so x_3 = √0.3. One step before it stood at "
        "√0.5 = {expected}, but your mean is {got}. Check each weight: bars, roots, indices.",
    )
    same((of_x0, of_xt), (0.404061, 0.553283), "At t = 3 your weights are {got}, not {expected}.")

    got = posterior(zero, zero, at_3, ABAR)[1].item()
    expect(
        not close(got, 0.4),
        "Your variance is β_t, that of the forward step. Who knows x_0 as well is surer than that.",
    )
    expect(not close(got, 0.534522), "This is a standard deviation. The variance was asked for.")
    expect(not close(got, 3.5), "This is the precision, 1 / variance. The variance was asked for.")
    expect(
        got < 0.4,
        f"Your variance {got:.4g} is larger than β_t = 0.4. Who knows x_0 as well is surer than a step "
        "alone, so it must be smaller.",
    )
    same(got, 0.285714, "At t = 3, ᾱ_2 = 0.5 and ᾱ_3 = 0.3: variance {expected}, not {got}.")
    same(singles[0][1], torch.zeros(1, 1), "At t = 1 nothing is uncertain: variance 0, not {got}.")
    return (
        "the step back, if one knows x_0: narrower than the step forward, and at t = 1 exact. "
        "Of the data only this one x_0 is in it, so it can be computed for every picture."
    )


def pair(answer, expected, what):
    shape_like(answer, expected, f"Your answer ({what})")
    return answer


# Centres only; undone mixing; the prior weights for the responsibilities; weights left out; only the
# likeliest one; s or 1 − ᾱ for v; centres not shrunk; 1/v left out, or its root; softmax over the
# batch; exponentials that all become 0.
@exercise
def expected_x0(expected_x0):
    def ask(x, abar, means, stds, weights):
        means, stds, weights = map(torch.tensor, (means, stds, weights))
        answer = expected_x0(torch.tensor(x), abar, means, stds, weights)
        shape_like(answer, torch.tensor(x))
        return answer

    single = ask([[2.0, 1.0]], 0.64, [[1.0, -1.0]], [0.5], [1.0])
    finite(single)
    expect(
        not close(single, [1.0, -1.0]),
        "One Gaussian alone, and your guess is always its centre, whatever x_t is. "
        "The guess goes a part of the way from the centre towards what one sees.",
    )
    expect(
        not close(single, [2.5, 1.25]),
        "Your guess is x_t/√ᾱ_t: it takes all of x_t for signal. A part of it was noise.",
    )
    same(
        single,
        torch.tensor([[1.461538, -0.307692]]),
        "One Gaussian alone, centre (1, −1), s = 0.5, ᾱ_t = 0.64, x_t = (2, 1): E[x_0|x_t] is {expected}, "
        "yours is {got}. Check v, and that every s is squared and √ᾱ_t stands where it must.",
    )
    two, thin = [[-1.0, 0.0], [1.0, 0.0]], [0.01, 0.01]
    far = ask([[60.0, 0.0]], 0.5, two, thin, [0.5, 0.5])
    expect(
        bool(torch.isfinite(far).all()),
        "Far away, at x_t = (60, 0), all your exponentials are 0, and 0/0 is NaN. Stay with the "
        "logarithms as long as you can: softmax(logarithms) is made for this.",
    )
    x = torch.tensor([[0.3, 0.1], [-0.6, 0.2], [0.0, -1.0]])
    together = ask(x.tolist(), 0.5, two, [0.1, 0.1], [0.5, 0.5])
    alone = torch.cat([ask([row], 0.5, two, [0.1, 0.1], [0.5, 0.5]) for row in x.tolist()])
    hint = (
        "A point's answer changes with the points beside it. The responsibilities add up to 1 over "
        "the Gaussians k, for each point by itself. Along which axis does your sum or softmax run?"
    )
    expect(close(together, alone), hint)

    middle = ask([[0.0, 0.0]], 0.5, two, thin, [0.5, 0.5])[0, 0].item()
    expect(
        abs(middle) < 0.5,
        f"Exactly between two equal Gaussians at −1 and 1 the average of x_0 is 0; yours is {middle:.4g}. "
        "Do you take only the likeliest one? Both count, each with its share.",
    )
    at_home = ask([[2.0, 0.0]], 0.9, two, thin, [0.9, 0.1])[0, 0].item()
    expect(
        not close(at_home, -0.797351, 1e-2),
        "x_t lies right beside the Gaussian at 1, yet your guess is drawn to −1. The prior weights "
        "w_k are what one believes before seeing x_t. What does one believe after it?",
    )
    expect(
        at_home > 0.9,
        "x_t lies right beside the Gaussian at 1, yet your guess is drawn to −1. A short distance must make "
        "a share large: look at the exponent, its sign and what it is divided by.",
    )
    rare = ask([[0.0, 0.0]], 0.5, two, thin, [0.9, 0.1])[0, 0].item()
    expect(
        not close(rare, 0.0, 0.01),
        "Between two Gaussians, one of which is nine times as frequent, you say 0, as if they were "
        "equal. In the lecture the weights cancelled. Here they do not.",
    )
    same(rare, -0.8, "Weights 0.9 and 0.1, seen from the middle: {expected}, not {got}.", 0.01)

    got = ask([[0.8, 0.4]], 0.36, [[0.0, 0.0], [2.0, 0.0]], [0.5, 0.5], [0.5, 0.5])
    expect(
        not close(got, [0.806735, 0.082192], 1e-3),
        "The responsibilities compare x_t with the centres of the data. But x_t has been shrunk: "
        "where does the noisy cloud of Gaussian k have its centre?",
    )
    same(
        got,
        torch.tensor([[1.183929, 0.082192]]),
        "ᾱ_t = 0.36, centres (0, 0) and (2, 0), s = 0.5, x_t = (0.8, 0.4): {expected}, not {got}. Guesses "
        "are right, so look at the responsibilities: the distance, its square, v.",
        1e-3,
    )
    got = ask([[0.5, 0.5]], 0.8, [[0.0, 0.0], [0.0, 0.0]], [0.1, 2.0], [0.5, 0.5])
    expect(
        not close(got, [0.402772, 0.402772], 1e-3),
        "A narrow and a wide Gaussian: your shares lack the factor before the exponential. With different "
        "v_k it does not cancel. A wide hill is also a flat one.",
    )
    expect(
        not close(got, [0.240133, 0.240133], 1e-3),
        "A narrow and a wide Gaussian: your factor before the exponential is the one for a line, 1/√v_k. "
        "In the plane there are two coordinates, each with its own.",
    )
    same(
        got,
        torch.tensor([[0.101743, 0.101743]]),
        "Two Gaussians of one centre, s = 0.1 and 2: {expected}, but you have {got}.",
        1e-3,
    )
    same(
        far,
        torch.tensor([[1.008384, 0.0]]),
        "Far away, at x_t = (60, 0), the Gaussian at 1 has the whole share: the guess is {expected}, not "
        "{got}. There all exponentials are 0; a small number in the divisor only hides it. Stay with the "
        "logarithms.",
        1e-3,
    )
    return (
        "who made x_t, and where x_0 was if it was k: the exact denoiser. "
        "A network learns this function from examples alone."
    )


# Score: sign; variance, nothing or √ᾱ for the divisor; multiplied; index one too low; t[0] for all.
# Mean: 1/√α_t left out, on the wrong part, multiplied, or with a bar; sign; β_t left out or 1 − ᾱ_t;
# the plain ε where the score belongs.
@exercise
def score_and_mean(score_and_mean):
    t = torch.tensor([1, 2, 3, 4])
    x = torch.tensor([[0.5, 1, -1, 2], [1, 2, 1, 0], [0, 1, 0, 3], [2, -2, 0, 1]])
    eps = torch.tensor([[1.0, 2, 3, 4], [0, 1, 0, 1], [2, 2, 1, 1], [-1, 0, 3, 1]])
    score, mean = pair(score_and_mean(eps, x, t, ABAR), (eps, x), "score, mean")
    expect(
        bool(torch.isfinite(score).all()),
        "At t = 1 your score divides by 1 − ᾱ_0 = 0. Which entry of alphas_cumprod is ᾱ_t?",
    )
    singles = [score_and_mean(eps[i : i + 1], x[i : i + 1], t[i : i + 1], ABAR) for i in range(4)]
    own_step(score, torch.cat([s for s, _ in singles]), "the score")
    own_step(mean, torch.cat([m for _, m in singles]), "the mean")

    at_3 = torch.tensor([3])
    one, zero = rows(1, at_3), rows(0, at_3)
    score, down = (v.item() for v in score_and_mean(one, zero, at_3, ABAR))
    expect(
        score < 0,
        "Your score points along ε. It should point to where points are *likely*: "
        "the noise led away from there.",
    )
    expect(
        not close(score, -1 / 0.7),
        "Your score is divided by 1 − ᾱ_t, the variance of the noise. Its standard deviation is it.",
    )
    expect(not close(score, -1.0), "Your score is −ε, whatever t is. What is it divided by?")
    expect(
        not close(score, -1.825742),
        "Your score is divided by √ᾱ_t: that is the factor of the signal, not of the noise.",
    )
    expect(not close(score, -0.83666), "Multiplied, where it should be divided: less noise, steeper hill.")
    same(score, -1.195229, "ε = 1 at t = 3, where ᾱ_3 = 0.3: score {expected}, not {got}.")

    up = score_and_mean(zero, one, at_3, ABAR)[1].item()
    expect(
        not close(up, 1.0),
        "With score 0 your mean is x_t itself. But the forward step made x_{t−1} smaller: undo that.",
    )
    expect(
        not close(up, 1.825742),
        "With score 0 your mean is x_t/√ᾱ_t: that undoes *all* steps. Only one step is to be undone.",
    )
    expect(
        not close(up, 0.774597),
        "Your mean makes x_t smaller. So did the forward step; on the way back it is the other way.",
    )
    same(up, 1.290994, "With score 0 and x_3 = 1 the mean is {expected}, not {got}.")
    expect(
        down < 0,
        "The step goes against the score. Uphill is where data are: plus, if the score has its sign.",
    )
    expect(
        not close(down, -0.478091),
        "x_t is divided by √α_t, but the part with the score is not. Is a pair of brackets missing?",
    )
    expect(
        not close(down, -1.543033),
        "How far does the step go along the score? Yours goes the whole score. A small β_t, a small step.",
    )
    expect(
        not close(down, -1.080123),
        "Your step along the score is 1 − ᾱ_t times the score. That is the noise of all steps; "
        "one step back undoes that of one step.",
    )
    expect(not close(down, -0.516398), "Your step is β_t·ε. The formula wants the score: ε with its divisor.")
    same(down, -0.617213, "x_3 = 0 and ε = 1: mean {expected}, not {got}.")
    return (
        "noise and score are one thing in two dresses, and a step back goes uphill along log q. "
        "Near t = 0 the divisor is small, so there a small error in ε is a large one in the score."
    )


class Watched:
    """A network for checks: answers a·x − b·t, wants one whole t for each row, remembers them."""

    def __init__(self, a=0.0, b=0.0):
        self.a, self.b, self.seen = a, b, []

    def __call__(self, x, t):
        if not (torch.is_tensor(t) and t.shape == (len(x),) and not t.is_floating_point()):
            said = f"a tensor of shape {tuple(t.shape)}" if torch.is_tensor(t) else f"{t!r}"
            raise Hint(
                f"predict_eps wants one whole t for each row, a long tensor ({len(x)},); "
                f"it was given {said}. torch.full((len(x),), t) makes one."
            )
        self.seen.append(int(t[0]))
        return self.a * x - self.b * t[:, None].float()


# Noise in the last step; one z for the batch, or for all steps; variance or β for the root of β̃; z one
# index off; up instead of down; loop ends at 2, starts at T − 1, or gives the network t − 1; T fixed;
# x_0 formula for the mean; one number for t.
@exercise
def walk_back(walk_back):
    x_T = torch.tensor([[1.0, -0.5], [0.2, 2.0], [-1.0, 0.0]])
    quiet, flat = torch.zeros(5, 3, 2), torch.zeros(3, 2)

    network = Watched()
    end = walk_back(network, x_T, ABAR, quiet)
    shape_like(end, x_T)
    finite(end)
    seen = network.seen
    expect(seen, "predict_eps is never called: the walk has no direction without it.")
    expect(seen[:1] != [1], "Your walk begins at t = 1. It begins in the noise, at T, and goes down.")
    expect(
        seen[-1] != 0,
        f"The network hears t = {seen[0]} … 0. It is asked about the state *before* the step, "
        "t = T … 1; t = 0 is clean.",
    )
    expect(seen[0] == 4, f"alphas_cumprod has 5 entries, so T is 4; your walk begins at {seen[0]}.")
    expect(seen[-1] == 1, f"Your last step starts at t = {seen[-1]}. From x_1 there is one more step.")
    expect(seen == [4, 3, 2, 1], f"The network should hear 4, 3, 2, 1, but it hears {seen}.")
    network = Watched()
    walk_back(network, x_T, ABAR[:3], quiet[:3])
    expect(network.seen == [2, 1], "A table with 3 entries has T = 2. Take T from the table.")

    expect(
        close(walk_back(Watched(), flat, ABAR, quiet), flat),
        "From 0, with ε = 0 and all z = 0, a walk stays at 0, but yours moves. Do you draw noise of your "
        "own? The noise is handed over: z.",
    )

    def moved(t, row=None, by=1.0):
        """What the end becomes, from zero and with ε = 0, if only z[t] (of one row) is not 0."""
        z = quiet.clone()
        z[t, slice(None) if row is None else row] = by
        return walk_back(Watched(), flat, ABAR, z)

    expect(
        not close(moved(4), flat),
        "z[4] does not reach the end. The step from t to t − 1 uses z[t], so the first one uses z[4].",
    )
    expect(
        close(moved(1), flat) and close(moved(0), flat),
        "The last step, from x_1 to x_0, adds noise in your walk. β̃_1 is 0: its z must not count.",
    )
    expect(
        not close(moved(3), flat) and not close(moved(2), flat),
        "z[3] or z[2] does not reach the end. Every step but the last has noise of its own.",
    )
    others = moved(3, row=0)[1:].abs().max() + moved(3, row=1)[[0, 2]].abs().max()
    expect(
        close(others, 0.0),
        "The noise of one row moves the other rows. Each row has its own z: no index for the row.",
    )
    same(
        walk_back(Watched(), x_T, ABAR, quiet)[0, 0],
        3.162278,
        "A network that says ε = 0, and no noise: then each step only undoes the shrinking, from 1 to "
        "1/√ᾱ_4 = {expected}. You have {got}. Look at the factor of x_t in the mean.",
    )
    got = moved(3)[0, 0].item()
    expect(
        not close(got, 0.894427),
        "Your noise has the size √β_t. That is the large variance; β̃_t was asked for.",
    )
    expect(
        not close(got, 0.404061),
        "You multiply z by the variance. What makes a z of variance 1 one of variance β̃_t?",
    )
    same(got, 0.755929, "z[3] = 1 alone, all else 0: at the end {expected}, but you have {got}.")
    z = torch.tensor(
        [
            [[9.0, 9], [9, 9], [9, 9]],
            [[5, 5], [5, 5], [5, 5]],
            [[1, -1], [0.5, 0], [0, 2]],
            [[0, 1], [-1, 0.5], [1, 1]],
            [[-0.5, 0.5], [1, 0], [2, -1]],
        ]
    )
    same(
        walk_back(Watched(0.5, 0.1), x_T, ABAR, z),
        torch.tensor([[1.643063, 0.636976], [1.187436, 2.698384], [1.384053, 1.234651]]),
        "A network that says ε = x/2 − t/10: the walk should end at {expected}, but yours ends at {got}. "
        "The noise is right, so look at the part of the mean with ε.",
    )
    return (
        "this loop makes the faces of session start_here. Only the network is missing, and it needs no more "
        "than what you checked here."
    )


summary = summary_of(__name__)
