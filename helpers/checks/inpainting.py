"""Checks of homework inpainting: what Palette sees, its loss, RePaint's way up, PSNR, the blur.

Above each check stand the mistakes that it was written for; the master tries them all. The numbers
below were computed once, on paper; no check computes an answer.
"""

import torch

from helpers.checks import close, exercise, expect, finite, same, shape_like, shown, summary_of


# Hole and known changed places; y and x_t changed places; the truth, zeros, or the ε of x_t in y's hole, or
# noise added to the truth; known pixels of x_t noisy; y noised in place of x_0; no roots, or one; signal and
# noise changed places; noise alone; one ᾱ for all pictures; one tensor written into twice.
@exercise
def condition(condition):
    x0 = torch.full((2, 3, 2, 3), 0.5)
    fog, eps = torch.full_like(x0, 3.0), torch.full_like(x0, -2.0)
    hole = torch.zeros(2, 1, 2, 3, dtype=torch.bool)
    hole[0, 0, 0, 0] = hole[1, 0, 0, 1] = hole[1, 0, 1, 1] = hole[1, 0, 1, 2] = True
    answer = condition(x0, hole, fog, eps, torch.tensor([0.64, 0.36]))
    shape_like(answer, (x0, x0), "Your answer (y, x_t)")
    y, x_t = answer
    finite(torch.stack([y, x_t]))
    expect(
        y.data_ptr() != x_t.data_ptr(),
        "Your y and your x_t are one and the same tensor, so what you write into one stands in the other. "
        "`x0.clone()` makes a new one.",
    )
    unknown = [part[hole.expand_as(x0)] for part in (y, x_t)]
    known = [part[~hole.expand_as(x0)] for part in (y, x_t)]

    expect(
        not bool((known[0] == 3).all()),
        "Your y has noise where the picture is known. The hole is True where it is *unknown*.",
    )
    expect(
        not bool((unknown[1] == 3).all()),
        "What you give as x_t is what the network sees beside it. First y, then x_t.",
    )
    expect(
        bool((known[0] == 0.5).all()),
        f"Where the picture is known, y should be x_0 itself, 0.5; yours has {shown(known[0])}.",
    )
    expect(
        not bool((unknown[0] == 0.5).all()),
        "In the hole your y still shows the truth: the network would only have to copy it.",
    )
    expect(
        not bool((unknown[0] == -2).all()),
        "In the hole of y stands `eps`, which belongs to x_t. If both have it, the network reads the answer "
        "there, and learns nothing else. y has a noise of its own: `fog`.",
    )
    expect(
        not bool((unknown[0] == 0).all()),
        "In the hole your y is 0, a flat grey that could also be a picture. Palette puts noise there: `fog`.",
    )
    expect(
        bool((unknown[0] == 3).all()),
        f"In the hole y is `fog` alone, 3 here, and nothing of the picture; yours has {shown(unknown[0])}.",
    )

    expect(
        bool((known[1] == 0.5).all()),
        "Known pixels of your x_t are not x_0, 0.5. In Palette only the hole is noisy, they stay clean; "
        f"yours has {shown(known[1])}.",
    )
    first, second = x_t[0, 0, 0, 0], x_t[1, 0, 1, 1]
    expect(not close(first, -2.0), "In the hole of x_t stands noise alone. At step t a part of x_0 is left.")
    expect(
        not close(first, 2.2),
        "In x_t you mix with `fog`. The noise that the network shall guess is ε; fog belongs to y.",
    )
    expect(
        not close(first, 1.2),
        "In x_t you mix ε with y, that is, noise with noise. It is x_0 that becomes noisy.",
    )
    expect(
        not close(first, -0.4),
        "x_0 = 0.5, ε = −2 and ᾱ = 0.64 should give 0.8 · 0.5 − 0.6 · 2; you have −0.4. Are the roots there?",
    )
    expect(
        not close(first, -0.32) and not close(first, 0.0),
        "With ᾱ = 0.64 the factor of ε is √(1 − ᾱ) = 0.6: first the difference, then the root. Yours is "
        "another.",
    )
    expect(
        not close(first, -1.3),
        "With ᾱ = 0.64 more picture than noise should be left. Have the two factors changed places?",
    )
    same(first, torch.tensor(-0.8), "x_0 = 0.5, ε = −2, ᾱ = 0.64: x_t should be {expected}, you have {got}.")
    expect(
        not close(second, -0.8),
        "The second picture has ᾱ = 0.36, but was mixed with the first one's 0.64: one ᾱ for each picture.",
    )
    same(second, torch.tensor(-1.3), "x_0 = 0.5, ε = −2, ᾱ = 0.36: x_t should be {expected}, you have {got}.")
    same(x_t[1, 2, 0, 1], torch.tensor(-1.3), "All channels have the same hole; the third has {got}.")
    return "what is known stays clean in both pictures; in the hole y says only *that* something is missing."


# Over all pixels; over the known ones; a sum; pooled over the batch; divided by all pixels; by the pixels
# without the channels; absolute; root; no square; the square of a mean; one colour; the sum over the
# pictures; a plain number.
@exercise
def hole_loss(hole_loss):
    hole = torch.zeros(2, 1, 2, 3, dtype=torch.bool)
    hole[0, 0, 0, 0] = hole[1, 0, 0, 1] = hole[1, 0, 1, 1] = hole[1, 0, 1, 2] = True
    error = torch.full((2, 3, 2, 3), 0.5)  # squares in the holes: a mean of 2, and of 25
    error[0, :, 0, 0] = torch.tensor([1.0, -1, 2])
    error[1][:, hole[1, 0]] = torch.tensor([[1.0, -1, 1], [5, -5, 5], [-7, 7, -7]])
    target = torch.linspace(-1, 1, 36).view(2, 3, 2, 3)
    guess = (target + error).requires_grad_(True)
    got = hole_loss(guess, target, hole)
    shape_like(got, 0.0)
    finite(got)
    expect(
        not close(got, 6.583333), "Your loss counts all pixels. Only those in the hole have to be guessed."
    )
    expect(
        not close(got, 0.25),
        "Your loss counts the *known* pixels. The hole is True where the picture is unknown.",
    )
    expect(
        not close(got, 19.25) and not close(got, 57.75),
        "You put the pixels of all pictures together, so a picture with a large hole counts for more. "
        "First the mean in the hole of each picture, then the mean of the pictures.",
    )
    expect(
        not close(got, 6.416667) and not close(got, 12.833333),
        "What is outside counts 0 in your sum, good; but you still divide by *all* pixels. "
        "By how many must it be?",
    )
    expect(
        not close(got, 40.5),
        "You divide by the number of pixels in the hole, but each of them has three values: the hole is "
        "(B, 1, H, W), the error (B, 3, H, W).",
    )
    expect(
        not close(got, 231.0) and not close(got, 115.5),
        f"{shown(got)} is a sum. A mean does not grow with the size of the hole.",
    )
    expect(
        not any(close(got, size) for size in (2.833333, 3.207107, 3.674235)),
        f"{shown(got)} has the size of the error itself: an absolute value or a root. The *square* is asked "
        "for.",
    )
    expect(
        not close(got, 0.277778) and not close(got, 0.228395),
        "Errors above and below 0 cancel in your mean. First the square of each error, then the mean.",
    )
    expect(not close(got, 1.0), "You count the first colour only. A pixel of the hole has three values.")
    expect(not close(got, 27.0), "27 is the sum over both pictures. The mean of them is asked for.")
    same(
        got if not torch.is_tensor(got) else got.detach(),
        13.5,
        "Two pictures, the mean squared errors in their holes are 2 and 25: {expected}, but you have {got}.",
    )
    expect(
        torch.is_tensor(got) and got.requires_grad,
        "The value is right, but no gradient can flow back from it: `.item()`, `.detach()`, `.numpy()` and "
        "`float()` cut it off. Return the tensor itself.",
    )
    return "each hole counts the same, large or small, and what is known costs nothing."


# From the clean picture; upside down; no root; the difference of the deviations; of the variances; c in place
# of c²; the noise of the whole way; noise alone; no noise.
@exercise
def way_up(way_up):
    def ask(x, z, a_s=0.64, a_t=0.16):
        answer = way_up(torch.tensor([x]), torch.tensor([z]), a_s, a_t)
        expect(
            not (torch.is_tensor(answer) and answer.is_complex()),
            "You take the root of a negative number, so your answer is complex. Upside down? ᾱ_t is the "
            "smaller one.",
        )
        shape_like(answer, torch.zeros(1))
        finite(answer)
        return float(answer)

    kept = ask(2.0, 0.0)
    expect(
        not close(kept, 0.8),
        "√ᾱ_t leads from the *clean* picture to x_t. You start from x_s, which has lost a part already: "
        "which factor leads from √ᾱ_s to √ᾱ_t?",
    )
    expect(
        not close(kept, 4.0),
        "On the way up your picture grows, from 2 to 4. Upside down? ᾱ_t is the smaller one.",
    )
    expect(not close(kept, 0.5), "The picture is multiplied by ᾱ_t/ᾱ_s itself. Is a root missing?")
    expect(not close(kept, 0.0), "Nothing of x_s is left in x_t. The jump adds noise, it does not erase.")
    expect(not close(kept, 2.0), "x_s itself stays as large as it was. Which factor shrinks it?")
    same(kept, 1.0, "x_s = 2, z = 0, ᾱ_s = 0.64, ᾱ_t = 0.16: {expected}, but you have {got}.")

    added = ask(0.0, 1.0)
    expect(not close(added, 0.0), "No new noise comes in: what is z for?")
    expect(
        not close(added, 0.916515),
        "√(1 − ᾱ_t) is the noise of the whole way from the clean picture. x_s has a part of it already.",
    )
    expect(not close(added, 0.75), "The noise is multiplied by a variance. Is a root missing?")
    expect(
        not close(added, 0.316515) and not close(added, 0.616515),
        "You take the difference of two standard deviations. It is variances that add up and subtract.",
    )
    expect(
        not close(added, 0.692820),
        "The variance goes from 0.36 to 0.84, but the new noise has more than the difference, 0.48: what was "
        "in x_s is shrunk as well.",
    )
    expect(
        not close(added, 0.707107) and not close(added, 0.812404),
        "x_s is multiplied by c, so its *variance* is multiplied by c². Is it c in your d?",
    )
    same(added, 0.866025, "x_s = 0, z = 1, ᾱ_s = 0.64, ᾱ_t = 0.16: {expected}, but you have {got}.")
    same(ask(1.0, 2.0, 0.5, 0.32), 2.0, "x_s = 1, z = 2, ᾱ_s = 0.5, ᾱ_t = 0.32: {expected}, not {got}.")
    same(ask(1.0, 1.0, 1.0, 0.36), 1.4, "From the clean picture, ᾱ_s = 1, ᾱ_t = 0.36: {expected}, not {got}.")
    return "one jump up, of any length, and the noise is exactly that of step t."


# The range 1, 4, 255; its first power; the whole picture; the known part; a sum, or too few values counted;
# natural logarithm; no 10; factor 20; upside down; absolute error; the mean of decibels; one colour.
@exercise
def psnr(psnr):
    hole = torch.tensor([[True, False, False], [False, True, False]])
    truth = torch.linspace(-0.5, 0.5, 18).view(3, 2, 3)
    answer = truth + torch.where(hole, 0.2, 0.3)
    got = psnr(answer, truth, hole)
    shape_like(got, 0.0)
    finite(got)
    expect(not close(got, -20.0), "−20 dB: the error stands on top. Small errors should give a large number.")
    expect(
        not close(got, 13.9794),
        "13.98 dB: you take 1 as the range of values. Ours go from −1 to 1: how far is that?",
    )
    expect(not close(got, 16.9897), "16.99 dB: the range is not squared, but the error is.")
    expect(
        not close(got, 26.0206) and not close(got, 62.110204),
        f"{shown(got)} dB: your range is too large. Our values go from −1 to 1.",
    )
    expect(not close(got, 17.366986), "17.37 dB is that of the whole picture. Only the hole is asked for.")
    expect(not close(got, 16.478175), "16.48 dB is that of the known part. Look at what `hole` marks.")
    expect(
        not close(got, 24.771213),
        "24.77 dB: what is outside counts 0 in your sum, good; but you still divide by *all* pixels.",
    )
    expect(
        not close(got, 12.218487) and not close(got, 15.228787),
        f"{shown(got)} dB: you divide by too few. How many values are in the hole, in three colours?",
    )
    expect(
        not close(got, 46.0517),
        "46.05 is ten times the *natural* logarithm. Decibels are counted with base 10.",
    )
    expect(
        not close(got, 2.0),
        "2 is the logarithm itself, the number of bels. One bel is ten decibels: where is the 10?",
    )
    expect(not close(got, 40.0), "40: a factor of 20 belongs to amplitudes; the squared error takes 10.")
    expect(
        not close(got, 13.0103),
        "13.01 dB: the error 0.2 itself stands below. Square it before you take the mean, and take no root.",
    )
    same(got, 20.0, "An error of 0.2 everywhere in the hole is {expected} dB, but you have {got}.", 1e-3)
    hole = torch.tensor([[True, True, False], [False, False, False]])
    answer = truth + 0.7
    answer[:, 0, :2] = truth[:, 0, :2] + torch.tensor([[0.1, -0.3], [0.1, -0.3], [0.1, 0.1]])
    got = psnr(answer, truth, hole)
    expect(
        not any(close(got, mean, 1e-3) for mean in (22.839786, 22.012551, 21.360796)),
        "Errors of 0.1 and 0.3 in the hole: you take the mean of several decibels. First the mean of the "
        "squares over the hole and its colours, then one logarithm.",
    )
    expect(not close(got, 19.0309, 1e-3), "Only the first colour counts in your error. Take all three.")
    expect(
        not close(got, 35.563025, 1e-3),
        "Errors above and below 0 cancel in your mean. Square each of them first.",
    )
    same(got, 20.377886, "Errors of 0.1 and 0.3 in the hole: {expected} dB, but you have {got}.", 1e-3)
    return "decibel inside the hole: every halving of the squared error is worth 3.01 dB."


# All pictures alike; only the nearest, or one that is drawn; the hole in the distance, or only the hole; σ
# not squared, or above the line; no 2; distance not squared; a mean in place of its sum; weights that do
# not add up to 1; a plus sign; known pixels replaced; e^−large = 0 in all weights.
@exercise
def posterior_mean(posterior_mean):
    pictures = torch.tensor([[1, -1, 0.5, 2], [1, 1, 0.5, -1], [1, 0, 0.5, 3]])
    hole = torch.tensor([False, False, False, True])

    def ask(y, sigma):
        answer = posterior_mean(torch.tensor(y), hole, pictures, sigma)
        shape_like(answer, torch.zeros(4))
        return answer

    got = ask([1.0, -1.0, 0.5, 5.0], 1.0)
    finite(got)
    filled = float(got[3])
    expect(not close(filled, 5.0), "The hole still holds what stood there before. Fill it.")
    expect(
        not close(filled, 1.333333),
        "All pictures count the same in your mean. Those that fit the known pixels should count for more.",
    )
    expect(
        not any(close(filled, one) for one in (2.0, -1.0, 3.0)),
        "You take one of the pictures. *All* are possible, each with its weight.",
    )
    expect(
        not close(filled, 2.880797, 1e-3) and not close(filled, 2.924141, 1e-3),
        "The value in the hole of y, 5, has a part in your distances. It is unknown: what stands there must "
        "not matter.",
    )
    expect(not close(filled, 2.225749, 1e-3), "Your weights fall too fast: is the 2 of 2σ² there?")
    expect(not close(filled, 1.848679, 1e-3), "Your weights fall too slowly: 2σ², not (2σ)².")
    expect(
        not close(filled, 1.706017, 1e-3),
        "Your weights fall too slowly: the *sum* over the known pixels is asked for, not their mean.",
    )
    expect(
        not close(filled, 1.748225, 1e-3),
        "Your weights fall with the distance; in a Gaussian it is the *squared* distance.",
    )
    expect(
        not any(close(filled, wrong, 1e-3) for wrong in (3.684257, 0.705040, 1.228086)),
        "Your weights do not add up to 1. Divide by their sum, once, and then add up.",
    )
    expect(
        not close(filled, -0.044123, 1e-2),
        "The picture that fits worst counts most. Look at the sign in the exponent.",
    )
    same(
        filled,
        2.115121,
        "Three pictures, squared distances 0, 4, 1, σ = 1: {expected} in the hole, not {got}.",
        1e-3,
    )
    expect(
        close(got[:3], [1.0, -1.0, 0.5]),
        f"Known pixels should stay as they are in y, (1, −1, 0.5); yours are {shown(got[:3])}.",
    )
    half = float(ask([1.0, -1.0, 0.5, 5.0], 0.5)[3])
    expect(not close(half, 2.225749, 1e-3), "With σ = 0.5 your weights are too wide. Is σ squared?")
    expect(not close(half, 2.115121, 1e-3), "With σ = 0.5 nothing changes. Is σ used?")
    expect(
        not close(half, 1.623510, 1e-3),
        "A smaller σ makes your weights more equal. Is σ² below the line? `a / 2 * b` is a·b/2.",
    )
    same(half, 2.118282, "The same with σ = 0.5: {expected}, but you have {got}.", 1e-3)
    far = ask([41.0, -1.0, 0.5, 5.0], 1.0)
    expect(
        bool(torch.isfinite(far).all()),
        "Where all pictures are far from y, every e^(−large) is 0 in a computer, and 0/0 is NaN. `softmax` "
        "of the exponents is the same thing, without this trouble.",
    )
    same(float(far[3]), 2.115121, "A known pixel far from all three alike: {expected}, not {got}.", 1e-3)
    expect(
        close(far[:3], [41.0, -1.0, 0.5]),
        "Known pixels should stay as they are in y, noise and all: (41, −1, 0.5); yours are "
        f"{shown(far[:3])}.",
    )
    return (
        "the mean of all possible pictures: on average no answer has a smaller squared error. It is a blur."
    )


summary = summary_of(__name__)
