"""Checks of homework parameterisations: the four translations, Tweedie, the factor of a loss, a mended table.

Above each check stand the mistakes that it was written for; the master tries them all. The numbers
below were computed once, on paper; no check computes an answer.
"""

import torch

from helpers.checks import close, exercise, expect, finite, same, shape_like, shown, summary_of


# x0 and ε exchanged; the signs of v, or of the score; noise² for noise in the score; the score taken for ε;
# divisions left out, or by the wrong factor; ᾱ for its root; ε = v; the factors of the first row for all.
@exercise
def convert(convert):
    a, b = torch.tensor([[0.8], [0.6]]), torch.tensor([[0.6], [0.8]])
    x_t = torch.tensor([[2.2, 0.0], [2.2, 0.5]])  # of x0 = (2, 0.3), (1, 0.7) and ε = (1, −0.4), (2, 0.1)
    x0, eps = torch.tensor([[2.0, 0.3], [1.0, 0.7]]), torch.tensor([[1.0, -0.4], [2.0, 0.1]])
    wanted = {
        "x0": x0,
        "eps": eps,
        "v": torch.tensor([[-0.4, -0.5], [0.4, -0.5]]),
        "score": torch.tensor([[-1.666667, 0.666667], [-2.5, -0.125]]),
    }

    def ask(target, batch=slice(0, 2)):
        answer = convert(wanted[target][batch], x_t[batch], a[batch], b[batch], target)
        shape_like(answer, (x0[batch], eps[batch]), "Your answer (x0, eps)")
        for part in answer:
            finite(part)
        return answer

    one = slice(0, 1)
    expect(
        not close(ask("x0", one)[1], x0[one]),
        "Asked with the target `x0`, your second result is what the network said. x0 and eps have changed "
        "places: x0 comes first.",
    )
    expect(
        not close(ask("x0", one)[1], (2.555556, -0.533333)),
        "With the target `x0` your eps does not fit. signal and noise are a and b, the roots already: "
        "do you take the squares of the two factors?",
    )
    expect(
        not close(ask("x0", one)[1], 0.6 * eps[one]),
        "With the target `x0`, your eps is too small by the noise: there is no division by it, but "
        "x_t − a·x0 is b·eps.",
    )
    expect(
        not close(ask("eps", one)[0], 0.8 * x0[one]),
        "With the target `eps`, your x0 is too small by the signal: there is no division by it, but "
        "x_t − b·eps is a·x0.",
    )
    expect(
        not close(ask("eps", one)[0], 1.333333 * x0[one]),
        "With the target `eps`, you divide by the wrong factor to get x0: what stands before x0 in x_t?",
    )
    got = ask("v", one)
    expect(
        not close(got[1], wanted["v"][one]),
        "Your `eps` for the target `v` is the answer itself. v = a·eps − b·x0: there is x0 in it, too.",
    )
    expect(
        not close(got[0], (1.52, -0.3)),
        "The signs of `v` are not right. Put v = a·eps − b·x0 into your line for x0: with a² + b² = 1 all "
        "eps must drop out.",
    )
    expect(
        not close(got[0], (1.64, 0.4)),
        "Your x0 for the target `v` is b·x_t − a·v. Which way do the rulers turn? At b = 0 one sees the "
        "picture itself: there x0 must be x_t.",
    )
    got = ask("score", one)
    expect(
        not close(got[1], -eps[one]),
        "The sign of the score: it points away from the noise, back to the data. Your eps has the wrong one.",
    )
    expect(
        not close(got[1], 0.6 * eps[one]),
        "From the score to eps you multiply by the noise *squared*. score = −eps/b: once is enough.",
    )
    expect(
        not close(got[1], (2.777778, -1.111111)),
        "You divide the score by the noise. score = −eps/b is divided already: to get eps back, multiply.",
    )
    expect(
        not close(got[1], wanted["score"][one]),
        "You treat the score as eps. They differ by a factor: score = −eps/b.",
    )
    for target in wanted:
        for name, part, right in zip(("x0", "eps"), ask(target, one), (x0, eps), strict=True):
            same(
                part,
                right[one],
                f"x_t = (2.2, 0) at a = 0.8, b = 0.6, and the answer {shown(wanted[target][one])} as "
                f"`{target}`: {name} is {{expected}}, but you have {{got}}.",
            )
    for target in wanted:
        got = ask(target)
        expect(
            close(got[0][1], x0[1]) and close(got[1][1], eps[1]),
            "With two pictures at different t the second comes out wrong. Do you use the factors of the "
            "first picture of the batch for all?",
        )
    return "four languages, one point: whoever knows x_t and one more reading knows both, x0 and ε."


# noise for noise²; minus; the signal left out, squared, or only under one part; the density for its
# logarithm; the score itself; a mean in place of the sum; the value in place of the gradient.
@exercise
def best_guess(best_guess):
    def bell(x):  # N(1, 2²) in each coordinate: the gradient of log q is (1 − x)/4
        return -((x - 1) ** 2).sum(1) / 8 - 1.6

    def ask(x, function=bell):
        x = torch.tensor(x)
        answer = best_guess(function, x, 0.8, 0.6)
        shape_like(answer, x)
        finite(answer)
        return answer.detach()

    at = [[3.0]]  # score −0.5, x_t + 0.36·(−0.5) = 2.82, by 0.8
    got = ask(at)
    expect(not close(got, [[-0.5]]), "This is the score. It is one part of Tweedie's formula.")
    expect(
        not close(got, [[3.375]]),
        "The score is multiplied by the noise, not its square. It is −E[ε]/b, and x_t needs b·E[ε] taken "
        "away: b twice.",
    )
    expect(
        not close(got, [[3.975]]),
        "You go away from where the data are dense. The score points uphill, so it is *added*.",
    )
    expect(not close(got, [[2.82]]), "Your guess is still shrunk: 2.82 is a·x0. What is left to do?")
    expect(not close(got, [[3.57]]), "Both parts stand over the signal, x_t *and* the score.")
    expect(not close(got, [[4.40625]]), "You divide by the signal *squared*.")
    expect(
        not close(got, [[3.722446]], 1e-3),
        "It seems that you take the gradient of the density itself. Tweedie has that of its logarithm, which "
        "is what you were given.",
    )
    expect(
        not close(got, [[2.805]]),
        "You use the value of log q. Tweedie has its gradient: which way, and how steeply, does it rise?",
    )
    two = ask([[3.0], [3.0]])
    expect(
        not (close(got, [[3.525]]) and close(two, [[3.525], [3.75]])),
        "Only the first row of the batch gets its gradient. How do you make one number of all rows?",
    )
    expect(
        not (close(got, [[3.525]]) and not close(two, [[3.525], [3.525]])),
        "Asked about x_t = 3 once you are right; asked twice in one batch you are not: your score depends "
        "on how many rows there are. A sum gives each row its own gradient; what does a mean do?",
    )
    same(got, torch.tensor([[3.525]]), "log q of N(1, 2²), x_t = 3, a = 0.8, b = 0.6: {expected}, not {got}.")
    same(
        ask([[3.0, 1.0], [-1.0, 5.0]]),
        torch.tensor([[3.525, 1.25], [-1.025, 5.8]]),
        "Two points in the plane: {expected}, but you have {got}.",
    )

    def hills(x):  # e^x + e^(−3x): not a density, but its gradient can be computed in the head at 0
        return torch.logsumexp(torch.cat([x, -3 * x], 1), 1)

    same(
        ask([[0.0]], hills),
        torch.tensor([[-0.45]]),
        "Another function, with gradient −1 at 0: {expected}, not {got}.",
    )
    return "Tweedie: beside a and b, the slope of log q at the noisy point is all that the best guess needs."


# max for min; the same factor for all targets (that of x0, or of ε); + 1 outside the fraction; times its own
# weight; upside down; v like ε; SNR squared; no cap; γ always 5.
@exercise
def factor(factor):
    snr = torch.tensor([0.25, 1.0, 4.0, 16.0])

    def ask(target, gamma):
        answer = factor(snr, gamma, target)
        shape_like(answer, snr)
        finite(answer)
        return answer

    x0, eps, v = (ask(target, 2.0) for target in ("x0", "eps", "v"))
    expect(
        not (close(x0, eps) and close(x0, v) and close(x0, [0.25, 1, 2, 2])),
        "You have one factor for all targets. The plain loss of ε is already SNR·‖e‖², so it needs another "
        "factor than that of x0.",
    )
    expect(
        not (close(x0, v) and close(eps, [1, 1, 0.5, 0.125])),
        "The same for all targets: that of ε. The plain loss of x0 has the weight 1, that of v SNR + 1.",
    )
    expect(
        not close(x0, [2, 2, 4, 16]),
        "For x0 and γ = 2 your factors are 2, 2, 4, 16: you take the larger one of SNR and γ.",
    )
    expect(
        not close(x0, [0.25, 1, 4, 16]),
        "For x0 and γ = 2 your factor still grows at SNR = 16: there is no cap in it.",
    )
    expect(
        not close(x0, [4, 1, 0.5, 0.5]),
        "Your factors are upside down: the wish belongs on top, what the loss has already below.",
    )
    expect(
        not close(x0, [0.0625, 1, 2, 2]),
        "`snr` is already a ratio of squares, a²/b². Do not square it again.",
    )
    expect(
        not close(x0, [0.25, 1, 4, 5]),
        "Asked for γ = 2 your cap is 5. In the lecture γ is always 5, here it is an argument.",
    )
    expect(
        not close(x0, [1, 1, 0.5, 0.125]),
        "That is the factor of ε. The plain loss of x0 has the weight 1: there is nothing to get rid of.",
    )
    same(
        x0,
        torch.tensor([0.25, 1, 2, 2]),
        "x0, γ = 2, SNR 0.25, 1, 4, 16: the factors are {expected}, not {got}.",
    )
    expect(
        not close(eps, [0.0625, 1, 8, 32]),
        "For ε your factor is the wish *times* the weight of the loss. The loss of ε *has* the weight SNR "
        "already: get rid of it.",
    )
    same(
        eps,
        torch.tensor([1, 1, 0.5, 0.125]),
        "ε, γ = 2, SNR 0.25, 1, 4, 16: the factors are {expected}, not {got}.",
    )
    expect(
        not close(v, [2, 2, 1.5, 1.125]),
        "For v you have min(SNR, γ)/SNR + 1. Mind the brackets: the plain loss of v is (SNR + 1)·‖e‖², and "
        "by this one divides. For SNR → 0 the factor must go to 0.",
    )
    expect(
        not close(v, [1, 1, 0.4, 0.117647]),
        "For v you have min(SNR + 1, γ)/(SNR + 1). The + 1 comes with the loss of v, so it stands below; the "
        "wish is the same for all targets.",
    )
    expect(not close(v, eps), "You treat v like ε. The loss of v has the weight SNR + 1.")
    same(
        v,
        torch.tensor([0.2, 0.5, 0.4, 0.117647]),
        "v, γ = 2, SNR 0.25, 1, 4, 16: the factors are {expected}, not {got}.",
    )
    same(
        ask("v", 8.0),
        torch.tensor([0.2, 0.5, 0.8, 0.470588]),
        "v, γ = 8: the factors are {expected}, not {got}.",
    )
    return "target and weight are two choices: divide by the weight that comes with the target, then wish."


# On ᾱ itself; roots returned; shifted only, or stretched to 1; stretched before the shift; entry 0 stretched
# along, or lost; only the last entry set to 0.
@exercise
def mend(mend):
    table = torch.tensor([1.0, 0.81, 0.49, 0.16, 0.01])  # roots 0.9, 0.7, 0.4, 0.1; stretched by 9/8
    got = mend(table)
    shape_like(got, table)
    finite(got)
    expect(
        float(got[0]) <= 1 + 1e-6,
        f"Your ᾱ grows above 1 (it begins with {shown(got[0])}). Entry 0 is the clean picture: it stays 1, "
        "and takes no part in shift and stretch.",
    )
    expect(
        not close(got[1:], [1.025156, 0.620156, 0.2025, 0.012656]),
        "Your roots are stretched, but not shifted: the last one is still above 0.",
    )
    expect(
        not close(got[1:], [0.81, 0.49, 0.16, 0]),
        "Only the last entry has changed: a jump at the end. All roots are shifted and stretched.",
    )
    expect(
        not close(got[1:], [0.81, 0.486, 0.151875, 0]),
        "You shift and stretch on ᾱ itself. It is the root, the signal, that is mended.",
    )
    expect(
        not close(got[1:], [0.9, 0.675, 0.3375, 0]), "You return the roots. The table has ᾱ, their squares."
    )
    expect(
        not close(got[1:], [0.64, 0.36, 0.09, 0]),
        "Your roots are shifted, but not stretched: the first one should stay 0.9, and is 0.8.",
    )
    expect(
        not close(got[1:], [0.790123, 0.444444, 0.111111, 0]),
        "It seems that the clean entry is stretched along, with its root 1 as the first. But r_1 should stay "
        "as it was; the clean entry is set apart.",
    )
    expect(
        not close(got[1:], [0.871111, 0.49, 0.1225, 0]),
        "Here r_2 stays as it was, not r_1. Once the clean entry is cut off, r_1 stands at the index 0.",
    )
    expect(
        not close(got[1], 1.0), "r_1 has become 1: a first step without noise. It should stay what it was."
    )
    expect(
        abs(float(got[-1])) < 1e-6,
        f"Your table does not end in 0, but in {shown(got[-1])}. The shift takes the last *root* "
        "away, and it comes before the stretch.",
    )
    expect(close(got[0], 1.0), f"Entry 0 is the clean picture, ᾱ = 1; yours is {shown(got[0])}.")
    same(
        got,
        torch.tensor([1.0, 0.81, 0.455625, 0.113906, 0.0]),
        "ᾱ = 1, 0.81, 0.49, 0.16, 0.01 should become {expected}; yours is {got}.",
    )
    same(
        mend(torch.tensor([1.0, 0.64, 0.04])),
        torch.tensor([1.0, 0.64, 0.0]),
        "With T = 2 the table 1, 0.64, 0.04 becomes {expected}, but yours is {got}.",
    )
    return "the last step is pure noise now, as the sampler believed. Ask for no ε and no score there."


summary = summary_of(__name__)
