"""Checks of homework start_here: how a check answers, and five pieces of mathematics.

Above each check stand the mistakes that it was written for; the master tries them all.
"""

import torch

from helpers.checks import close, exercise, expect, finite, same, shape_like, summary_of


def pair(answer):
    """The two finite numbers (mean, std) that an answer should be."""
    shape_like(answer, (0.0, 0.0), "Your answer (mean, std)")
    finite(answer)
    return tuple(map(float, answer))


# Brackets missing, or std forgotten; divided by the variance; multiplied; mean taken away after the
# division; mean added; sign; mean and std of the values themselves.
@exercise
def standardise(standardise):
    x = torch.tensor([3.0, 5.0, 1.0, 9.0])
    z = standardise(x, 3.0, 2.0)
    shape_like(z, x)
    finite(z)
    expect(
        close(standardise(x[1:3], 3.0, 2.0), z[1:3]),
        "What one value becomes changes with the values beside it. "
        "Use the mean and std that are handed to your function, not those of x.",
    )
    step = (z[1] - z[0]).item()  # from the mean to one standard deviation above it
    expect(step > 0, "A larger x should give a larger answer; yours gets smaller. What minus what?")
    expect(
        not close(step, 2.0),
        "x is never divided by std. Is the division missing, or a pair of brackets? "
        "Python divides before it subtracts.",
    )
    expect(
        not close(step, 0.5),
        "From the mean, one std upwards should be a step of 1; yours is 0.5. "
        "You divide by too much: is this the variance?",
    )
    hint = "From the mean, one std upwards should be a step of {expected}; yours is {got}."
    same(step, 1.0, hint)
    same(
        z[0],
        0.0,
        "The steps are right, but an x that is exactly the mean should become 0, not {got}. "
        "When, and with which sign, does the mean come in?",
    )
    return "mean 0 and standard deviation 1, whatever the units were. Networks like their food so."


# Standard deviations added; variance given back; s taken for a variance; a and b left out of the
# std, or not squared there; left out of the mean, exchanged, divided by a + b; minus for X − Y.
@exercise
def combine(combine):
    std = pair(combine(1.0, 0.0, 3.0, 1.0, 0.0, 4.0))[1]
    expect(not close(std, 7.0), "Stds 3 and 4 give you 7, their sum. Which quantity is it that adds?")
    expect(not close(std, 25.0), "Stds 3 and 4 give you 25: a variance. The std was asked for.")
    expect(
        not close(std, 7**0.5),
        "s1 and s2 are standard deviations, but you add them as if they were variances already.",
    )
    hint = "Stds 3 and 4 should make {expected}, as in a right-angled triangle; you have {got}."
    same(std, 5.0, hint)
    std = pair(combine(1.0, 0.0, 1.0, 0.0, 0.0, 3.0))[1]
    same(std, 1.0, "With b = 0 nothing of Y is left, yet its spread brings your std from 1 to {got}.")
    std = pair(combine(2.0, 0.0, 1.0, 0.0, 0.0, 1.0))[1]
    same(
        std,
        2.0,
        "2·X is twice as wide as X: std {expected}, not {got}. "
        "What becomes of a factor when a variance is taken?",
    )
    std = pair(combine(1.0, 0.0, 4.0, -1.0, 0.0, 3.0))[1]
    hint = "X − Y is as uncertain as X + Y: std {expected}, not {got}. A minus takes no noise away."
    same(std, 5.0, hint)
    mean = pair(combine(2.0, 1.0, 1.0, -4.0, 3.0, 1.0))[0]
    expect(not close(mean, 4.0), "Your mean is m1 + m2. What do a and b do to it?")
    expect(not close(mean, 2.0), "In your mean a and b have changed places: a belongs to X.")
    expect(not close(mean, 5.0), "Your mean is divided by a + b. It is a sum, not an average.")
    same(mean, -10.0, "With m1 = 1 and m2 = 3 the mean of 2·X − 4·Y is {expected}; yours is {got}.")
    answer = combine(0.6, 1.0, 2.0, 0.8, -2.0, 0.5)
    same(answer, (-1.0, 1.264911), "(0.6, 1, 2, 0.8, −2, 0.5) gives you {got}, not {expected}.")
    return "variances add. A thousand small steps of noise are one large one: see session forward_process."


# Variance or precision or its root given back; variances added or averaged; 1/s for a precision;
# mean: plain, weighted by s or s² or 1/s, not divided by the sum of the weights.
@exercise
def fuse(fuse):
    mean, std = pair(fuse(torch.tensor([6.0]), torch.tensor([0.5])))
    expect(
        close(mean, 6.0),
        f"One person alone, who says 6 ± 0.5, should be believed: mean 6, yours is {mean:.4g}. "
        "Weights of a mean add up to 1; do yours?",
    )
    expect(not close(std, 0.25), "One person says 6 ± 0.5, you say ± 0.25: that is the variance.")
    expect(
        std < 1,
        f"One person says 6 ± 0.5, you say ± {std:.4g}. This is the precision or its root: "
        "large where one is sure. The way back to a std is not finished.",
    )
    hint = "One person alone, who says 6 ± 0.5, should be believed; your std is {got}."
    same(std, 0.5, hint)
    means, stds = torch.tensor([1.0, 2.0, 6.0, 7.0]), torch.full((4,), 2.0)
    mean, std = pair(fuse(means, stds))
    same(mean, 4.0, "Four people who are equally sure: mean {expected}, but you have {got}.")
    expect(
        std < 1.999,
        f"Four people, each ± 2, make you ± {std:.4g}: no surer than one of them. "
        "What adds up here makes the result narrower.",
    )
    hint = "Four people, each ± 2, know twice as much as one: ± {expected}. You have ± {got}."
    same(std, 1.0, hint)
    mean, std = pair(fuse(torch.tensor([2.0, 4.0]), torch.tensor([1.0, 0.5])))
    expect(mean > 2.999, f"2 ± 1 and 4 ± 0.5: your {mean:.4g} lies nearer to the one who is unsure.")
    expect(not close(mean, 3.0), "2 ± 1 and 4 ± 0.5: your mean is 3, as if both were equally sure.")
    same(
        mean,
        3.6,
        "2 ± 1 and 4 ± 0.5 give you the mean {got}. It leans the right way, but how much more does "
        "the second count if its std is half as large: twice, or more?",
    )
    same(
        std,
        0.447214,
        "2 ± 1 and 4 ± 0.5: your mean is right, but your ± is {got}. What is it that adds up, if the "
        "two are not equally sure?",
    )
    means, stds = torch.tensor([0.0, 1.0, -2.0, 5.0]), torch.tensor([1.0, 2.0, 0.5, 4.0])
    hint = "0 ± 1, 1 ± 2, −2 ± 0.5, 5 ± 4 give you (mean, std) = {got}, not {expected}."
    same(fuse(means, stds), (-1.4, 0.433861), hint)
    return "precisions add: everybody helps, and the sure ones count most."


# The lecture's special case a·x_t, ± b; x_t / a; m left out; a left out of a·m; s for s²; a for a²;
# weights exchanged; variance given back; prior and noise added up in the std.
@exercise
def best_guess(best_guess):
    a, b, m, s = 0.6, 0.5, 3.0, 2.0
    x = torch.tensor([0.0, 1.0, 1.8, 4.0])

    def guess(*given):
        answer = best_guess(*given)
        shape_like(answer, (given[0], 0.0), "Your answer (mean, std)")
        finite(answer)
        return answer[0], float(answer[1])

    mean, std = guess(x, a, b, m, s)
    shifted = guess(x, a, b, 0.0, s)[0]
    expect(
        not close(mean, a * x),
        "Your mean is that of section 8, where the prior has mean 0 and std 1. "
        "Here it is N(m, s²): start again from the product of two Gaussians.",
    )
    surprise = mean[2].item() - m
    far, near = guess(x, a, 1e3, m, s)[0], guess(x, a, 1e-3, m, s)[0]
    expect(
        not close(mean, shifted) or close(mean, x / a),
        "Your mean is the same for m = 3 and for m = 0. What one knew before has to come in.",
    )
    expect(
        (far - m).abs().max() < 0.1,
        "With much noise (b = 1000) x_t tells nothing, and the best guess should fall back to m = 3. "
        f"Yours is ({far[0]:.4g}, …, {far[3]:.4g}).",
    )
    expect(
        abs(surprise) < 1e-3,
        "x_t = a·m is just what one expects if x_0 = m, so the best guess should stay at m = 3; "
        f"yours is {mean[2]:.4g}. With what do you compare x_t?",
    )
    same(
        near,
        x / a,
        "With nearly no noise (b = 0.001) the mixing can be undone: {expected}. You have {got}.",
        tolerance=0.01,
    )
    big = guess(100 * x, a, 100 * b, 100 * m, 100 * s)
    expect(
        close(big[0], 100 * mean),
        "Centimetres for metres (x_t, b, m, s a hundred times as large) should give a mean a "
        "hundred times as large, but do not. Does a std stand where a variance belongs?",
    )
    expect(
        close(big[1], 100 * std),
        "Centimetres for metres (x_t, b, m, s a hundred times as large) should make the std a "
        "hundred times as large, but do not. Is yours a std, or a variance, or a precision?",
    )
    sure = guess(x, a, b, m, 0.01)[1]
    expect(
        sure <= 0.0101,
        f"Who knew x_0 up to ± 0.01 before cannot know less after seeing x_t; your std is {sure:.4g}.",
    )
    amplified = guess(10 * x, 10 * a, 10 * b, m, s)
    expect(
        close(amplified[0], mean) and close(amplified[1], std),
        "A device that shows ten times x_t (a and b ten times as large) tells nothing new, but "
        "your guess changes. How does a enter the precision that x_t gives to x_0?",
    )
    expected = torch.tensor([0.443787, 1.863905, 3.0, 6.124260])
    same(mean, expected, "For a, b, m, s = 0.6, 0.5, 3, 2 your mean is {got}, not {expected}.")
    same(std, 0.769231, "For a, b, m, s = 0.6, 0.5, 3, 2 your std is {got}, not {expected}.")
    return "between what you knew and what you see, nearer to the surer: each denoiser does this."


# Not summed over the numbers, or averaged, or summed over the batch too; −½ or the factor ½ missing;
# directions exchanged; log₂; fraction in the log upside down; difference not squared; s for s².
@exercise
def kl(kl):
    def of(*p_and_q):
        columns = [torch.full((3, 4), float(number)) for number in p_and_q]
        answer = kl(*columns)
        expect(
            getattr(answer, "shape", None) != (3, 4),
            "You give one number for each coordinate. The coordinates are independent: "
            "what happens to their KLs?",
        )
        expect(
            getattr(answer, "shape", None) != (),
            "You give one number for the whole batch; each of the 3 rows should get its own.",
        )
        shape_like(answer, torch.zeros(3))
        finite(answer)
        return answer[0].item()

    equal = of(1, 2, 1, 2)
    expect(
        close(equal, 0.0),
        f"Who believes the truth is never surprised: KL = 0 for p = q, yours is {equal:.4g} (for 4 "
        "coordinates). Which term is missing or has the wrong weight?",
    )
    moved = of(2, 1, 0, 1)  # 4 coordinates, each 2
    expect(
        not close(moved, 2.0),
        "With 4 equal coordinates you give what one of them gives. Four independent surprises are "
        "not averaged.",
    )
    expect(
        moved > 0,
        f"For means 2 and 0 and std 1 your KL is {moved:.4g}. Here p and q differ, so it must be above 0.",
    )
    expect(
        not close(moved, 4.0),
        "Means that are 2 apart cost you too little. How does the distance enter: as it is?",
    )
    expect(
        not close(moved, 16.0),
        "Means that are 2 apart cost you twice what they should. Is a factor ½ missing?",
    )
    hint = "Means 2 and 0, std 1, 4 coordinates: KL {expected}, yours is {got}."
    same(moved, 8.0, hint)
    wider = of(0, 1, 0, 2)
    expect(wider > 0, f"p narrow, q wide: your KL is {wider:.4g}, but none is negative. Check the log.")
    expect(
        not close(wider, 3.227411),
        "With p narrow and q wide you give the KL of q narrow and p wide. Who is the world, who the belief?",
    )
    expect(not close(wider, 2.5), "Your logarithm has base 2. In this course log is the natural one.")
    expect(
        not close(wider, 1.772589),
        "The width of the world counts in your formula as s1 / (2·s2). Are these variances?",
    )
    hint = "Stds 1 and 2, same mean, 4 coordinates: KL {expected}, yours is {got}."
    same(wider, 1.272589, hint)
    m1, s1 = torch.tensor([[0.0, 1.0], [2.0, -1.0]]), torch.tensor([[1.0, 2.0], [0.5, 1.0]])
    m2, s2 = torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    expected = torch.tensor([1.25, 3.027871])
    same(kl(m1, s1, m2, s2), expected, "Two rows with different numbers give {got}, not {expected}.")
    return "never negative, 0 only for p = q, and not the same both ways. Session elbo is made of it."


# The terms exchanged; another base; only one term; sum for mean; rows not averaged, or columns
# instead of rows; rows averaged after the log; mean of log of everything in both terms.
@exercise
def jensen_gap(jensen_gap):
    def gap(rows):
        answer = jensen_gap(torch.tensor(rows))
        shape_like(answer, 0.0)
        finite(answer)
        return float(answer)

    still = gap([[5.0], [5.0], [5.0]])
    expect(
        close(still, 0.0),
        f"Where every X is 5 there is nothing to gain, the gap is 0; yours is {still:.4g}. Are both "
        "terms there, and do both take the mean?",
    )
    one, row = gap([[1.0], [8.0]]), gap([[1.0, 8.0]])
    expect(
        not close(one, 0.0) or close(row, 0.0),
        "Two rows, 1 and 8, have no gap for you, but one row (1, 8) has. It should be the other way "
        "round: along which of the two directions do you average?",
    )
    expect(one > -1e-6, f"Jensen says that the gap is never negative; yours is {one:.4g}.")
    expect(one > 1e-6, "1 and 8 differ, so there is a gap; yours is 0. When is the mean taken?")
    expect(
        not close(one, 0.464358 / 2.302585) and not close(one, 0.464358 / 0.693147),
        "Your logarithm has another base. In this course log is the natural one.",
    )
    same(one, 0.464358, "The gap of 1 and 8 is {expected}, yours is {got}.")
    rows = gap([[1.0, 3.0, 2.0], [3.0, 1.0, 2.0]])
    same(
        rows,
        0.0,
        "The rows (1, 3, 2) and (3, 1, 2) have the same mean 2: after averaging there is no gap "
        "left, but you have {got}. What comes first, the mean of a row or the log?",
    )
    answer = gap([[1.0, 7.0], [2.0, 0.5], [6.0, 10.0]])
    same(answer, 0.2558, "The rows (1, 7), (2, ½), (6, 10) have the gap {expected}; yours is {got}.")
    return "less spread, smaller gap. In session elbo the same gap says how much a bound loses."


summary = summary_of(__name__)
