"""Checks of homework restoration: conditional loss, first guess, agreeing with y, stage two, diversity.

Above each check stand the mistakes that it was written for; the master tries them all. The numbers
below were computed once, on paper; no check computes an answer.
"""

import torch

from helpers.checks import close, exercise, expect, finite, same, shape_like, shown, summary_of


def everything_seen(asked, pictures, once):
    """What a network was shown, (x_t, t, y): in one call, or in one for each picture, one after the other."""
    expect(asked, "Your function never asks the network.")
    for _, _, y in asked:
        expect(torch.is_tensor(y), "The network must also see y: network(x_t, t, y).")
    single = len(asked) == len(pictures) and all(x_t.shape == pictures[:1].shape for x_t, _, _ in asked)
    if single and all(torch.is_tensor(part) and part.ndim for call in asked for part in call):
        return tuple(torch.cat(parts) for parts in zip(*asked, strict=True))
    expect(len(asked) == 1, f"{once}; yours makes {len(asked)}.")
    return asked[0]


# x_0 shown as y; y made noisy, left out, blank; noise on y in place of x_0; y and x_t changed places; ε, x_0
# or y as target; v with the wrong sign, its factors or its pictures exchanged, with a plus, of y; no roots,
# in x_t or in v; 1 − √ᾱ; signal and noise exchanged; one ᾱ for all; t divided; a sum, an absolute value, a
# root; the square of a mean.
@exercise
def conditional_loss(conditional_loss):
    x0, eps = torch.full((2, 3, 2, 3), 0.5), torch.full((2, 3, 2, 3), -2.0)
    y, seen = torch.full_like(x0, 0.25), []
    scale, pattern = torch.ones((), requires_grad=True), torch.ones(1, 1, 2, 3)

    def network(x_t, t, y=None, image=None):
        seen.append((x_t.detach(), t, y if image is None else image))
        return torch.ones_like(x_t) * pattern * scale

    t, abar = torch.tensor([300, 100]), torch.tensor([0.64, 0.9216])
    got = conditional_loss(network, x0, y, t, eps, abar)
    shape_like(got, 0.0)
    finite(got)
    x_t, told, image = everything_seen(seen, x0, "One training step is *one* call of the network")
    shape_like(x_t, x0, "The x_t that the network sees")
    shape_like(image, y, "The y that the network sees")
    expect(
        not close(image, x0),
        "You show the network x_0 beside x_t. It will copy it, and learn nothing. It may see y only.",
    )
    expect(not close(x_t, y), "The network gets y in the place of x_t. The order is network(x_t, t, y).")
    expect(
        close(image, y),
        f"y should reach the network as it is, 0.25; it gets {shown(image)}. Only x_0 is made noisy.",
    )
    expect(close(told, t), f"The network is told t = {shown(told)}, and should be told {shown(t)}.")
    first, second = x_t[0, 0, 0, 0], x_t[1, 0, 0, 0]
    expect(not close(x_t, x0), "The network sees x_0 itself, without noise. It should see x_t.")
    expect(
        not close(first, -0.4),
        "x_0 = 0.5, ε = −2 and ᾱ = 0.64 should give 0.8 · 0.5 − 0.6 · 2 = −0.8; you have −0.4. The roots?",
    )
    expect(
        not close(first, -1.3),
        "With ᾱ = 0.64 more picture than noise should be left. Have the two factors changed places?",
    )
    expect(
        not close(first, -1.0),
        "You make noise on y, or on what is left of x_0 without y. It is x_0 itself that becomes noisy.",
    )
    expect(
        not close(first, 0.0) and not close(first, -0.32),
        "With ᾱ = 0.64 the factor of ε is √(1 − ᾱ) = 0.6: first the difference, then the root.",
    )
    same(first, torch.tensor(-0.8), "x_0 = 0.5, ε = −2, ᾱ = 0.64: x_t should be {expected}, you have {got}.")
    expect(not close(second, -0.8), "Both were mixed with the first ᾱ. There is one for each picture.")
    same(second, torch.tensor(-0.08), "x_0 = 0.5, ε = −2, ᾱ = 0.9216: x_t should be {expected}, not {got}.")

    expect(not close(got, 9.0), "Your network is to guess ε. It should guess v.")
    expect(not close(got, 0.25), "Your network is to guess x_0. It should guess v.")
    expect(not close(got, 0.5625), "You compare the answer with y. y is given; what is to be guessed is v.")
    expect(not close(got, 8.25133), "There is y in your v. v is made of ε and x_0.")
    expect(not close(got, 0.9668), "Your v has the wrong sign: the noise counts plus, the picture minus.")
    expect(
        not close(got, 5.4608),
        "In your v the two factors have changed places: √ᾱ goes with ε, √(1 − ᾱ) with x_0.",
    )
    expect(not close(got, 0.1808), "In your v x_0 and ε have changed places: √ᾱ goes with ε.")
    expect(not close(got, 6.5092), "In your v the picture is added. v = √ᾱ ε *minus* √(1 − ᾱ) x_0.")
    expect(not close(got, 7.17988, 1e-3), "x_t has its roots, but v lacks them.")
    expect(
        not close(got, 319.9248, 1e-3) and not close(got, 159.9624, 1e-3) and not close(got, 17.7736, 1e-3),
        f"{shown(got)} is a sum: over pixels, or over pictures. Take the mean of everything.",
    )
    expect(
        not any(close(got, size) for size in (2.98, 2.981073)),
        f"{shown(got)} has the size of the error itself: an absolute value or a root. The *square* is asked "
        "for.",
    )
    cancel = "Errors above and below 0 cancel in your mean. First the square of each error, then the mean."
    expect(not close(got, 8.8804), cancel)
    same(got, 8.8868, "A network that always answers 1 should have the loss {expected}; you have {got}.")
    expect(
        torch.is_tensor(got) and got.requires_grad,
        "The value is right, but no gradient can flow back from it: `.item()`, `.detach()`, `float()` and "
        "`torch.no_grad()` cut it off. Return the tensor itself.",
    )
    pattern = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])
    got = conditional_loss(network, x0, y, t, eps, abar)
    expect(not close(got, 3.9268), cancel)
    same(
        got,
        4.9268,
        "A network that answers 1 and −1 in turn should have the loss {expected}; you have {got}.",
    )
    return "the same loss as ever, with y beside x_t: that is all of conditional training."


# v itself; −v; a plus; the formula of ε; of ε from v; factors exchanged; y as x_T, in the network or in the
# formula; x_T left out; y left out; y made noisy; t = 0 or 999; one t for all; no roots; 1 − √ᾱ; cut to
# [−1, 1].
@exercise
def first_guess(first_guess):
    y, noise = torch.full((2, 3, 2, 3), -0.5), torch.ones(2, 3, 2, 3)
    noise[1] = 3
    asked = []

    def network(x_t, t, y=None, image=None):
        asked.append((x_t, t, y if image is None else image))
        return torch.full_like(x_t, 0.25)

    got = first_guess(network, y, noise, 0.36)
    shape_like(got, y)
    finite(got)
    x_t, t, image = everything_seen(asked, y, "The first guess is *one* call of the network")
    shape_like(image, y, "The y that the network sees")
    expect(
        not (close(x_t, y) and close(image, noise)),
        "y and the noise have changed places: the order is network(x_t, t, y).",
    )
    expect(not close(x_t, y), "The network gets y as x_T. At step T stands pure noise; y is shown beside it.")
    expect(
        close(x_t, noise), f"x_T is `noise` itself, 1 and 3 here; your network gets {shown(x_t[:, 0, 0, 0])}."
    )
    expect(close(image, y), f"The network should see y, −0.5, beside x_T; it gets {shown(image)}.")
    shape_like(t, torch.tensor([1000, 1000]), "For two pictures, the t that the network sees")
    expect(close(t, [1000, 1000]), f"The first guess is made at step T = 1000; yours at {shown(t)}.")
    value = float(got[0, 0, 0, 0])
    expect(not close(value, 0.25), "You return the answer of the network, but that is v. x_0 is asked for.")
    expect(
        not close(value, -0.25),
        "−v is right only where no signal at all is left. Here ᾱ_T = 0.36: write the whole formula.",
    )
    expect(not close(value, -0.2), "The part of x_T is missing. Here ᾱ_T = 0.36: write the whole formula.")
    expect(not close(value, -0.5), "In your formula y stands where x_T belongs.")
    expect(not close(value, 0.8), "You add the two parts. x_0 = √ᾱ x_t *minus* √(1 − ᾱ) v.")
    expect(not close(value, 0.95), "√(1 − ᾱ) x_t + √ᾱ v is ε. x_0 is asked for.")
    expect(
        not close(value, 4 / 3),
        "(x_t − √(1 − ᾱ) · answer) / √ᾱ is the formula for a network that guesses ε. This one guesses v.",
    )
    expect(not close(value, 0.2), "ᾱ x_t − (1 − ᾱ) v gives 0.2. Are the roots there?")
    expect(not close(value, 0.5), "√(1 − ᾱ) is 0.8 here: first the difference, then the root.")
    expect(not close(value, 0.65), "The two factors have changed places: √ᾱ belongs to x_t.")
    same(value, 0.4, "x_T = 1, v = 0.25, ᾱ_T = 0.36: x_0 should be {expected}, you have {got}.")
    value = float(got[1, 0, 0, 0])
    expect(not close(value, 1.0), "You cut the guess to [−1, 1]. Return it as the formula gives it.")
    same(value, 1.6, "x_T = 3, v = 0.25, ᾱ_T = 0.36: x_0 should be {expected}, you have {got}.")
    return "one call at step T: what a diffusion model would say if it had to answer at once."


# The wrong sign; a smooth enlargement; tiles; the small picture alone; or added; the correction alone; a
# factor in place of a number added; one number for the whole picture; one correction for both pictures; a
# sixteenth of it; one pixel in place of the mean; the squares' means taken away only; cut to [−1, 1].
@exercise
def agree(agree):
    channels = torch.tensor([1.0, 0.5, -1.0]).view(1, 3, 1, 1)
    one = channels * torch.tensor([[0.4, -0.2, 0.1], [0.0, 0.6, -0.3]])
    small = torch.cat([one, -0.5 * one.flip(3)])  # (2, 3, 2, 3)
    detail = torch.linspace(-0.3, 0.3, 96).view(1, 1, 8, 12).repeat(2, 3, 1, 1)
    got = agree(detail, small)
    shape_like(got, detail)
    finite(got)

    def squares(x):
        return x.reshape(2, 3, 2, 4, 3, 4)

    expect(
        not close(got, detail), "The answer comes back as it was. Its means over 4×4 pixels are not `small`."
    )
    rough = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    expect(
        not close(got, rough),
        "You return the small picture, enlarged: all that the answer had drawn into the squares is lost.",
    )
    flat = torch.zeros(2, 3, 2, 3)
    expect(
        not close(squares(got).var((3, 5)), flat),
        "Your result is flat in each square: the correction alone? Add it to the answer.",
    )
    moved = got - detail
    expect(
        not close(moved, moved[:, :, :1, :1].expand_as(moved)),
        "You moved the whole picture by one number. Each square of 4×4 pixels has its own error.",
    )
    expect(
        not close(moved[:, :, :4, :9], moved[:, :, 4:, 3:])
        and not close(moved[:, :, :2, :9], moved[:, :, 2:4, 3:]),
        "You laid the small error 4×4 times side by side. Repeat each *pixel*: `repeat_interleave`.",
    )
    expect(
        close(squares(moved).var((3, 5)), flat),
        "Within a square your correction differs from pixel to pixel. It should be one number for a square, "
        "added to all 16 pixels: repeat the error, do not enlarge it smoothly, and do not multiply.",
    )
    means = squares(got).mean((3, 5))  # (2, 3, 2, 3)
    expect(
        not close(means, flat),
        "The means over 4×4 pixels are now 0. You took the old means away; the new ones are missing.",
    )
    expect(
        not close(moved[0], moved[1], 1e-3),
        "Both pictures get the same correction. Each has errors of its own.",
    )
    corner, target = means[0, 0, 0, 0], small[0, 0, 0, 0]
    old = torch.tensor(-0.176842)  # the mean of the first square
    expect(
        not close(corner, 2 * old - target, 1e-3),
        "After your correction the squares are twice as far off as before. Look at the sign.",
    )
    expect(
        not close(corner, old + (target - old) / 16, 1e-3),
        "You spread the error over the 16 pixels of a square. A mean moves by 1 only if *each* pixel does.",
    )
    expect(
        not close(corner, old + target, 1e-3),
        "You add `small` itself. Add what is *missing*: the difference to the means that the answer has.",
    )
    expect(
        not close(corner, old + target + 0.3, 1e-3),
        "You compare `small` with one pixel of each square. Compare it with the mean of the 16.",
    )
    expect(
        not close(means[0], small[0], 1e-3) or close(means[1], small[1], 1e-3),
        "The first picture now agrees, the second does not. Correct every picture of the batch.",
    )
    hint = "The means over 4×4 pixels should be {expected}, yours are {got}."
    same(means.round(decimals=4) + 0.0, small, hint, 1e-3)
    far = squares(agree(detail * 3, small * 1.5)).mean((3, 5))
    expect(
        close(far, small * 1.5, 1e-3),
        "With larger values the means are wrong again. Do you cut to [−1, 1] at the end? That moves them.",
    )
    return "small and large now say the same, and every detail inside a square is as it was drawn."


# The variance as level; the signal; ᾱ; 1; noise in the level; no roots in the mixture; the factors exchanged;
# the picture not shrunk; one ᾱ; no noise; one noise for all colours; tiles in place of squares; enlarged
# smoothly; the level in front.
@exercise
def stage_two_sees(stage_two_sees):
    small = torch.tensor([[0.5, -0.5, 0.25], [0.0, 0.75, -0.25]]).expand(2, 3, 2, 3).contiguous()
    z = torch.tensor([[2.0, -1.0, 0.0], [1.0, -2.0, 0.5]]).repeat(2, 3, 1, 1)
    z[:, 2] = 0  # no noise on blue
    got = stage_two_sees(small, z, torch.tensor([0.64, 0.9216]))
    shape_like(got, torch.zeros(2, 4, 8, 12))
    finite(got)
    expect(
        not close(got[0, 0], torch.full((8, 12), 0.6)),
        "Your first channel is flat: the level stands in front. The picture comes first, the level last.",
    )
    expect(
        not close(got[:, :3, :2, :9], got[:, :3, 2:4, 3:]),
        "You laid the small face 4×4 times side by side. Repeat each *pixel*: `repeat_interleave`.",
    )
    squares = got[:, :3].reshape(2, 3, 2, 4, 3, 4)
    expect(
        close(squares.var((3, 5)), torch.zeros(2, 3, 2, 3)),
        "Each small pixel should fill a square of 4×4 with one noisy value and sharp borders; yours changes "
        "within a square. First the noise, then repeat pixels.",
    )
    seen = squares[:, :, :, 0, :, 0]  # (2, 3, 2, 3)
    corner = seen[0, 0, 0, 0]
    told = "A pixel of 0.5 with z = 2 and ᾱ = 0.64 should become 0.8 · 0.5 + 0.6 · 2"
    expect(not close(corner, 0.5), "The small face came through without noise.")
    expect(not close(corner, 1.04), told + "; you have 1.04. The roots?")
    expect(not close(corner, 1.7), "The noise was added, but the picture not shrunk by √ᾱ.")
    expect(
        not close(corner, 1.9),
        "With ᾱ = 0.64 more picture than noise should be left. Have the two factors changed places?",
    )
    expect(not close(corner, 0.8), f"{told}: first the difference 1 − ᾱ, then the root.")
    same(corner, torch.tensor(1.6), told + " = {expected}, you have {got}. (z is given: draw no noise.)")
    expect(
        not close(seen[0, 2], [1.6, -1.0, 0.2, 0.6, -0.6, 0.1]),
        "All three colours get the noise of the first. z has three channels.",
    )
    hint = "The first face should have the pixels {expected} in one colour, you have {got}."
    same(seen[0, 1], torch.tensor([[1.6, -1.0, 0.2], [0.6, -0.6, 0.1]]), hint)
    same(seen[0, 2], torch.tensor([[0.4, -0.4, 0.2], [0.0, 0.6, -0.2]]), hint)

    level = got[0, 3, 0, 0]
    expect(not close(level, 0.36), "0.36 is the *variance* of the noise. Tell the standard deviation.")
    expect(not close(level, 0.8), "0.8 is how much signal is left. Tell the noise.")
    expect(not close(level, 0.64), "0.64 is ᾱ itself. Tell the standard deviation of the noise.")
    expect(not close(level, 0.2), "√(1 − ᾱ) is 0.6 for ᾱ = 0.64: first the difference, then the root.")
    expect(
        close(got[0, 3], got[0, 3, :1, :1].expand(8, 12)),
        "The level should be one number in all pixels of a face: it says *how much* noise there is, and has "
        "no z in it.",
    )
    same(level, torch.tensor(0.6), "ᾱ = 0.64: the level should be {expected}, you have {got}.")
    expect(
        not close(got[1, 3, 0, 0], 0.6),
        "The second face has ᾱ = 0.9216, but is told the level of the first. One for each.",
    )
    same(got[1, 3, 0, 0], torch.tensor(0.28), "ᾱ = 0.9216: the level should be {expected}, you have {got}.")
    expect(not close(seen[1, 0, 0, 0], 1.6), "Both faces were mixed with the first ᾱ. There is one for each.")
    hint = "The second face, ᾱ = 0.9216, should have the pixels {expected} in one colour, you have {got}."
    same(seen[1, 0], torch.tensor([[1.04, -0.76, 0.24], [0.28, 0.16, -0.10]]), hint)
    return "a picture that hides its errors, and says how much it hides."


# Over the pictures instead of the fills; divided by K; no root; the mean of the pixels' roots, or of the
# colours'; colours or pixels mixed before the variance; all in one; the distance to the first fill; highest
# minus lowest; sums; absolute deviations.
@exercise
def diversity(diversity):
    steps = torch.tensor([-1.0, 1.0, 0.0]).view(3, 1, 1, 1, 1)
    middle = torch.tensor([0.2, -0.6]).view(1, 2, 1, 1, 1)  # two different pictures
    size = torch.tensor([[[0.1, 0.7], [0.1, 0.1]], [[0.2, 0.2], [0.2, 0.2]], [[0.6, 0.2], [0.0, 0.0]]])
    fills = (middle + steps * size).contiguous()  # (3, 2, 3, 2, 2); the mean of size² is 0.09
    got = diversity(fills)
    shape_like(got, 0.0)
    finite(got)
    expect(
        not close(got, 0.09), "0.09 is a variance. Take the root: what is asked for has the size of a value."
    )
    expect(
        not close(got, 0.244949),
        "You divide by K. The mean is taken from the same K answers: divide by K − 1.",
    )
    expect(
        not close(got, 0.216667) and not close(got, 0.292261) and not close(got, 0.265943),
        "You take roots too early, and then the mean of the roots. First the mean of the variances over all "
        "values of a picture, then one root for each picture.",
    )
    expect(
        not close(got, 0.247207) and not close(got, 0.217945),
        "You mix the colours or the pixels of an answer first. Take the variance of each single value.",
    )
    expect(
        not close(got, 0.565685, 1e-3) and not close(got, 0.4),
        "You measure how much the *pictures* differ from each other. Wanted is how much the answers for one "
        "picture differ: the first direction.",
    )
    expect(
        not any(close(got, value, 1e-3) for value in (0.472333, 0.469042, 0.513809)),
        "You put the answers of different *pictures* together. Take the variance over the first direction "
        "alone.",
    )
    expect(
        not close(got, 0.6) and not close(got, 0.433333),
        f"{shown(got)}: highest minus lowest, one answer minus another, or a sum over the pictures? A "
        "standard deviation is asked for, and then the mean over the pictures.",
    )
    expect(not close(got, 1.03923, 1e-3), "1.039 is the root of a sum over a picture. Take the mean there.")
    expect(
        not close(got, 0.144444, 1e-3),
        "Absolute deviations, or the variance inside an answer? Take that of one value among the K answers.",
    )
    expect(not close(got, 0.424264, 1e-3), "0.424 is how far two answers are from *each other*, √2 too much.")
    expect(
        not close(got, 0.387298, 1e-3) and not close(got, 0.474342, 1e-3),
        f"{shown(got)} is a distance to one of the answers. Measure from their mean.",
    )
    same(
        got,
        torch.tensor(0.3),
        "Two pictures whose answers have a spread of 0.3: {expected}, but you have {got}.",
        1e-3,
    )
    scaled = torch.cat([fills[:, :1], middle[:, 1:] + 3 * (fills[:, 1:] - middle[:, 1:])], 1)
    got = diversity(scaled)
    expect(
        not close(got, 0.67082, 1e-3),
        "You put the pictures together before the root. Take the root for each picture, then the mean.",
    )
    same(
        got,
        torch.tensor(0.6),
        "Spreads of 0.3 and 0.9: {expected}, not {got}. Is it the mean over the pictures?",
        1e-3,
    )
    alike = diversity(fills[:1].expand(3, -1, -1, -1, -1).contiguous())
    same(alike, 0.0, "Three equal answers: {expected}, not {got}.")
    return (
        "how far the answers for one picture scatter around their mean; 0 for one that always says the same."
    )


summary = summary_of(__name__)
