"""Checks of homework 10: a step of DDIM, the list of steps, the whole sampler, slerp, the way backwards.

Above each check stand the mistakes that it was written for; the master tries them all. The numbers
below were computed once, on paper; no check computes an answer.
"""

import operator

import torch

from helpers.checks import (
    Hint,
    close,
    describe,
    exercise,
    expect,
    finite,
    same,
    shape_like,
    shown,
    summary_of,
)


def guesser(table, slope=0.0):
    """A dummy network and what it was asked: it guesses ε = table[t] + slope · x, and looks at t."""
    asked, values = [], torch.tensor(table)

    def network(x, t):
        expect(
            torch.is_tensor(t) and t.shape == (len(x),),
            f"The t that the network sees should be a tensor with one entry for each picture, here of shape "
            f"({len(x)},); yours is {describe(t)}.",
        )
        expect(
            not t.is_floating_point(),
            f"The t that the network sees counts steps, so it should be a tensor of whole numbers; yours is "
            f"{describe(t)}.",
        )
        expect(len(set(t.tolist())) == 1, "The pictures of a batch should all be asked about at one step.")
        asked.append((x.detach().clone(), int(t[0])))
        return values[t.clamp(0, len(values) - 1)].view(-1, 1, 1, 1).to(x.dtype) + slope * x

    return network, asked


# σ² not taken from the direction; no noise at all; the variance in place of σ; η², or η outside the root
# only; σ̂ under the root, cut at 0; σ̂ before z, so noise at the last step; the quotient upside down; signal
# and noise exchanged; x0 with the ᾱ of s; no roots; β for 1 − ᾱ; noise of one's own; the mean of DDPM for
# every η; x0 clipped; one ᾱ for all, or ᾱ along the width; no noise for anyone if one picture is at its end.
@exercise
def ddim_step(ddim_step):
    x_t, eps, z = (torch.zeros(1, 2, 2, 3) for _ in range(3))
    x_t[..., 0], eps[..., 1], z[..., 2] = 0.5, 0.5, 0.5  # each alone in its column
    abar_t, abar_s = torch.tensor([0.36]), torch.tensor([0.9216])

    def ask(eta):
        got = ddim_step(x_t, eps, abar_t, abar_s, eta, z)
        shape_like(got, x_t)
        expect(
            not got.isnan().any(),
            f"With ᾱ_t = 0.36, ᾱ_s = 0.9216, η = {eta:g} your answer has NaN in it: it came from a root of a "
            "negative number. Which quotient is upside down, or which variance is too large?",
        )
        finite(got)
        again = ddim_step(x_t, eps, abar_t, abar_s, eta, z)
        expect(
            close(got, again),
            "Twice the same call, two different answers. Draw no noise of your own: z is given.",
        )
        hint = "Pixels that are the same come out different: does a sum or a mean run over the picture?"
        expect(close(got, got[:, :1, :1].expand_as(got)), hint)
        return tuple(float(column) for column in got[0, 0, 0])

    at = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 0"
    x, e, n = ask(0.0)
    expect(
        close(n, 0.0), f"η = 0 means: no fresh noise. But z = 0.5 still moves a pixel of zeros to {shown(n)}."
    )
    told = f"{at}: x_t = 0.5 with ε = 0 should become 0.8, you have {shown(x)}."
    expect(not close(x, 0.5), told + " You find x̂_0 with ᾱ_s. But x_t stands at step t.")
    expect(
        not close(x, 0.3125),
        told + " Have t and s changed places? You come from t, where there is more noise, and go to s.",
    )
    expect(
        not any(close(x, value) for value in (1.28, 1.333333, 0.768, 0.691200)),
        told + " Are the roots of ᾱ there? Signal and noise are √ᾱ and √(1 − ᾱ).",
    )
    expect(
        not any(close(x, value, 1e-3) for value in (0.175, 0.6, 0.233333)),
        told + " Which factor belongs to the picture, and which to the noise? Here more picture is left.",
    )
    expect(
        not close(x, 0.833333),
        told + " That is x̂_0 itself. It must still be made weaker, as it is at step s.",
    )
    expect(not close(x, 0.48), told + " The division in x̂_0 is missing.")
    expect(close(x, 0.8), told)
    told = f"{at}: ε = 0.5 with x_t = 0 should become −0.5, you have {shown(e)}."
    expect(not close(e, 0.78), told + " In x̂_0 the noise is taken *away*.")
    expect(not close(e, -0.78), told + " The noise of step s is put *on* the picture: plus.")
    expect(not close(e, -0.64), told + " At step s there is still noise: the part with ε is missing.")
    expect(
        not close(e, -0.609375),
        told + " Your part with ε does not depend on η: this is the mean of DDPM, right for η = 1 only.",
    )
    expect(
        not any(close(e, value, 1e-3) for value in (-0.4845, -0.459688, -0.249687)),
        told + " Did you put β, that is 1 − ᾱ_t/ᾱ_s, where 1 − ᾱ belongs?",
    )
    expect(
        not any(close(e, value, 1e-3) for value in (-0.372, -0.6008, -0.4728)),
        told + " Are the roots there? The noise has the factor √(1 − ᾱ).",
    )
    expect(not close(e, 0.0), told + " x̂_0 needs the noise of step t, and the new part that of step s.")
    expect(close(e, -0.5), told)

    at = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 1"
    _, e, n = ask(1.0)
    told = f"{at}: z = 0.5 alone should become 0.1366, you have {shown(n)}."
    expect(
        not (close(n, 0.390312) and close(e, -0.64)),
        told + " Your σ is σ̂, the large one of DDPM. Then 1 − ᾱ_s − σ² is below 0: a negative number under "
        "the root, cut to 0, hides that something is wrong. Equation 16 has one factor more.",
    )
    expect(
        not close(n, 0.390312),
        told + " That is the large one, σ̂, which would add noise in the last step, too.",
    )
    expect(not close(n, 0.0), told + " No fresh noise came in.")
    expect(
        not any(close(n, value, 1e-3) for value in (0.037324, 0.304688)),
        told + " That is the *variance*. z is multiplied by the standard deviation.",
    )
    expect(
        not any(close(n, value, 1e-3) for value in (0.175, 0.14, 0.5)),
        told + " Your σ lacks a part. Equation 16 has η and two roots.",
    )
    expect(close(n, 0.136609, 1e-3), told)
    told = f"{at}: ε = 0.5 with x_t = 0 should become −0.6094, you have {shown(e)}."
    expect(
        not close(e, -0.5),
        told + " Fresh noise comes in: the old must become *weaker*, or there is too much at step s.",
    )
    expect(
        not close(e, -0.636609, 1e-4),
        told
        + " You take σ away from the root. But variances add up, not deviations: "
        + "take σ² away, under the root.",
    )
    expect(
        not close(e, -0.64) and not close(e, -0.638125),
        told + " What stands under your root? Too much is taken away there.",
    )
    expect(close(e, -0.609375, 1e-3), told)

    at = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 0.5"
    _, e, n = ask(0.5)
    told = f"{at}: z = 0.5 alone should become 0.0683, you have {shown(n)}."
    expect(not close(n, 0.136609, 1e-3), told + " Is η a factor of σ?")
    expect(not close(n, 0.034152, 1e-3), told + " Is η squared? In σ it stands once.")
    expect(not close(n, 0.096597, 1e-3), told + " Does η stand under a root? It is a factor of σ itself.")
    expect(close(n, 0.068305, 1e-3), told)
    told = f"{at}: ε = 0.5 with x_t = 0 should become −0.5178, you have {shown(e)}."
    expect(not close(e, -0.609375), told + " That is right for η = 1: η belongs under this root, too.")
    expect(close(e, -0.517793, 1e-3), told)

    x_t, eps = torch.full((1, 2, 2, 3), 2.0), torch.zeros(1, 2, 2, 3)
    z = torch.zeros(1, 2, 2, 3)
    far = ask(0.0)
    told = f"{at}: x_t = 2 with ε = 0 should become 3.2, you have {shown(far[0])}. Do you clip? Not here."
    expect(close(far, (3.2, 3.2, 3.2)), told.replace("0.5:", "0:"))

    flat, signs = torch.ones(3, 2, 2, 3), torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1, 1)
    abar_t, abar_s = torch.tensor([0.36, 0.0784, 0.64]), torch.tensor([0.9216, 0.36, 1.0])
    got = ddim_step(0.5 * flat, signs * flat, abar_t, abar_s, 1.0, -signs * flat)
    shape_like(got, flat)
    finite(got)
    expect(
        close(got, got[..., :1].expand_as(got)),
        "Three pictures, flat and three pixels wide: your answer differs along the width. There is one ᾱ for "
        "each *picture*: give it the shape (B, 1, 1, 1).",
    )
    finite(got)
    found = got[:, 0, 0, 0]
    expect(
        not close(found[1], 2.291969, 1e-3) or not close(found[2], found[0]),
        "Three pictures with three different ᾱ: every one goes with the ᾱ of the first.",
    )
    expect(
        not close(found[0], -0.418750),
        "One picture of three arrives at ᾱ_s = 1 and needs no noise; the others should still get theirs.",
    )
    told = f"ᾱ_t = 0.64, ᾱ_s = 1, η = 1, x_t = 0.5, ε = 1: −0.125, whatever z is; not {shown(found[2])}."
    expect(not close(found[2], -0.725, 1e-3), told + " Yours adds noise where ᾱ_s = 1. What is σ there?")
    expect(close(found[2], -0.125), told)
    same(
        found,
        torch.tensor([-0.691969, 3.554489, -0.125]),
        "Three pictures, each with its own ᾱ, ε and z, should have the values {expected}, you have {got}.",
        1e-3,
    )
    return "one step for all samplers: η = 0 adds no noise, η = 1 is DDPM, and s may be far from t."


# A fixed stride; rising; S entries; 1 or nothing at the end; T − 1 or 0.8 T at the beginning; rounded down,
# twice, or not at all; one spacing for both; quadratic at the noisy end, or with a root; repeats kept, thrown
# away, or moved only once.
@exercise
def step_list(step_list):
    def ask(T, S, spacing):
        got = step_list(T, S, spacing)
        call = f"step_list({T}, {S}, '{spacing}')"
        expect(
            isinstance(got, (list, tuple)),
            f"`{call}` should be a list, but it is {describe(got)}. `list(…)` makes one, and so does "
            "`.tolist()` of a tensor or an array.",
        )
        steps = []
        for step in got:
            try:
                steps.append(operator.index(step))
            except TypeError:
                raise Hint(f"In `{call}` there is {step}: this is not a whole number.") from None
        told = f"`{call}` gives you {steps if len(steps) < 12 else shown(steps)}. "
        expect(len(steps) > 0, f"{told}It is empty.")
        if len(steps) > 1 and steps == sorted(steps) and steps[0] != steps[-1]:
            raise Hint(told + "Your list rises. A sampler begins at T and falls.")
        return steps, told

    steps, told = ask(10, 3, "uniform")
    expect(
        steps[:4] != [10, 7, 4, 1],
        told + "That is a fixed stride, 10 // 3 = 3: it does not arrive at 0. Here the strides must differ.",
    )
    expect(steps[0] == 10, told + "The first entry should be T: the sampler begins with pure noise.")
    expect(
        len(steps) == 4 or 0 in steps or len(steps) == 3 and steps[-1] < 3,
        told + "The clean picture is missing: the last entry should be 0.",
    )
    expect(len(steps) == 4, told + "S steps need S + 1 numbers: a step leads from one entry to the next.")
    expect(steps[-1] == 0, told + "The last entry should be 0: there stands the clean picture.")
    expect(steps != [10, 6, 3, 0], told + "The nearest whole number to 6.67 is 7. Do you round down?")
    expect(steps != [10, 7, 4, 0], told + "The nearest whole number to 3.33 is 3. Is this a fixed stride?")
    expect(steps == [10, 7, 3, 0], told + "It should be [10, 7, 3, 0].")

    steps, told = ask(100, 5, "quadratic")
    expect(steps != [100, 80, 60, 40, 20, 0], told + "You give the same list for both spacings.")
    expect(
        steps != [100, 96, 84, 64, 36, 0],
        told + "Its small steps are at the noisy end. They belong near the clean picture.",
    )
    expect(
        steps[:2] != [100, 89],
        told + "Its small steps are at the noisy end: did you take the root of i/S? Take its square.",
    )
    expect(
        steps[0] != 80,
        told + "It begins at 0.8 T, as in the code of the DDIM paper. Ours begins at T: u = 1 at the end.",
    )
    expect(steps[0] <= 100, told + "That is more than T. Square u = i/S, and not the step.")
    expect(steps[0] == 100, told + "The first entry should be T.")
    expect(steps[-1] == 0, told + "The last entry should be 0.")
    expect(steps == [100, 64, 36, 16, 4, 0], told + "(2/5)² · 100 is 16: square u, then multiply by T.")
    steps, told = ask(1000, 7, "quadratic")
    expect(
        steps != [1000, 734, 510, 326, 184, 82, 20, 0],
        told + "You round, and then you square and round again. Round only once, at the end.",
    )
    expect(
        steps != [1000, 734, 510, 326, 183, 81, 20, 0],
        told + "1000 · (6/7)² is 734.69, and the nearest whole number is 735. Do you round down?",
    )
    expect(
        steps == [1000, 735, 510, 327, 184, 82, 20, 0],
        told + "The nearest whole numbers are 1000, 735, 510, 327, 184, 82, 20, 0.",
    )

    steps, told = ask(20, 8, "quadratic")
    told += "Before the repair the rising list begins with 0, 0, 1, 3. "
    expect(
        len(steps) != 8,
        told + "A step that comes twice must be moved; if you throw it away, only seven steps are left.",
    )
    expect(len(steps) == 9, told + "There should be 9 entries.")
    expect(
        steps != [20, 15, 11, 8, 5, 3, 1, 0, 0],
        told + "One entry comes twice. A step from 0 to 0 does nothing, and costs a call of the network.",
    )
    expect(
        steps != [20, 15, 11, 8, 5, 3, 1, 1, 0],
        told + "You moved the second 0 up to 1. The entry after it may now be too small itself: look at the "
        "entries *as they are now*.",
    )
    expect(len(set(steps)) == 9, told + "An entry still comes twice.")
    expect(steps[0] == 20, told + "Something was moved beyond T, or T itself was moved.")
    expect(
        steps == [20, 15, 11, 8, 5, 3, 2, 1, 0],
        told + "Move an entry only where it is not larger than the one before, and then to one more than it.",
    )
    steps, told = ask(9, 9, "quadratic")
    expect(
        steps == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], told + "With S = T there is one list only: every step, once."
    )
    steps, told = ask(12, 1, "uniform")
    expect(steps == [12, 0], told + "One step leads from T to 0 at once: [12, 0].")
    steps, told = ask(1000, 20, "uniform")
    expect(steps == [*range(1000, -1, -50)], told + "It should be 1000, 950, 900, … 50, 0.")
    return "S calls of the network instead of T; the same network, asked at fewer steps."


# ᾱ off by one; a stride; one step too early; ε not derived again, or with the ᾱ of s; not clipped, x clipped,
# clipped to [0, 1]; t a number, too short, the place in the list, t − 1, or s; asked at 0; noise left at the
# end; random numbers; signal and noise, or t and s, exchanged; no roots; the network sees the beginning.
@exercise
def draw(draw):
    abar = torch.tensor([1.0, 0.98, 0.95, 0.9216, 0.8, 0.64, 0.5, 0.36, 0.25, 0.16, 0.0784])
    table = [0.7, 0.3, -0.3, -0.1, 0.2, -0.4, 0.6, 0.5, -0.2, 0.4, -0.6]
    x = torch.tensor([0.58, 2.0, -2.0]).expand(1, 3, 1, 3).contiguous()
    network, asked = guesser(table)
    got = draw(network, x, [7, 3, 0], abar)
    shape_like(got, x)
    told = [t for _, t in asked]
    expect(told, "Your function never asks the network.")
    words = f"With steps = [7, 3, 0] your network is asked at t = {', '.join(map(str, told))}. "
    expect(
        told != [0, 1],
        words + "That is the place in the list. It should be told the step that stands at this place.",
    )
    expect(told != [6, 2], words + "Our tables begin with the clean picture at 0, so t needs no − 1.")
    expect(
        told != [3, 0], words + "That is the step to which x shall go. Tell it the step where x stands *now*."
    )
    expect(told != [7], words + "You stop one step too early: the last step leads from 3 to 0.")
    expect(told != [7, 3, 0], words + "At step 0 you have arrived: nothing is left to ask.")
    expect(told[:1] != [0] and told[:2] != [3, 7], words + "A sampler walks down, from noise to picture.")
    expect(
        told != [7, 7, 3, 3], words + "Once in each step is enough: what changes after clipping is no guess."
    )
    expect(
        told == [7, 3],
        words + "It should be 7 and 3: the entries of the list where a step begins. Do you count your own?",
    )
    first = asked[0][0]
    expect(close(first, x), "In the first step the network should see x as it is given; yours was changed.")
    second = asked[1][0]
    shape_like(second, x, "The x that the network sees in the second step")
    finite(second, "The x that the network sees in the second step")
    again, asked_again = guesser(table)
    draw(again, x, [7, 3, 0], abar)
    expect(
        close(asked_again[1][0], second),
        "Twice the same x, two different results: your function draws random numbers. With η = 0 there are "
        "none; the old ε is used.",
    )
    one, high, low = (float(value) for value in second[0, 0, 0])
    end, top, bottom = (float(value) for value in got[0, 0, 0])
    expect(
        not (close(second, x) and close(end, 0.633333)),
        "After the first step x is what it was. You derive ε again with the ᾱ of the wrong step: x_t stands "
        "at step t.",
    )
    expect(
        not close(second, x),
        "In the second step the network sees the beginning again. It should see the x of the step before.",
    )
    words = f"x = 0.58, ε = 0.5, from ᾱ = 0.36 to 0.9216: x should become 0.428, you have {shown(one)}. "
    expect(
        not any(
            close(one, value, 1e-3) for value in (0.423939, 0.486546, 0.447434, 0.404207, 0.491935, 0.422216)
        ),
        words + "This comes from an ᾱ that is off by one: abar[t] belongs to step t, and abar[0] is 1.",
    )
    expect(
        not any(close(one, value, 1e-3) for value in (0.578, 0.476, 0.564)),
        words + "Which factor belongs to the picture, and which to the noise?",
    )
    expect(not close(one, 0.675, 1e-3), words + "Have t and s changed places?")
    expect(
        not any(close(one, value, 1e-3) for value in (0.7048, 0.833333, 0.31568, 0.556, 0.3272)),
        words + "Are the roots of ᾱ there?",
    )
    expect(not close(one, 0.3), words + "That is x̂_0: the network should see x_s, with its noise.")
    expect(not close(one, 0.288), words + "The part with ε is missing.")
    expect(close(one, 0.428), words)
    words = "x = 2, ε = 0.5, from ᾱ = 0.36 to 0.9216: here x̂_0 is outside of [−1, 1]. "
    expect(
        not close(high, 1.1),
        words + "You clip it, but then you go on with the old ε: it no longer fits to the new x̂_0. Derive it "
        "again.",
    )
    expect(not close(high, 2.7), words + "It was not clipped.")
    expect(
        not close(high, 1.0),
        words + "You clip x itself. But x_s may be large, it has noise in it; only x̂_0 is a picture.",
    )
    expect(
        not (close(high, 1.45) and close(low, -0.7)),
        "x = −2 is clipped at 0 by you. Pictures are in [−1, 1].",
    )
    expect(
        close((high, low), (1.45, -1.45)),
        f"{words}x should become 1.45, and −1.45 for x = −2, ε = 0.5; you have {shown((high, low))}.",
    )
    words = f"From [7, 3, 0] the pixels should arrive at 0.475, 1 and −1; you have {shown(got[0, 0, 0])}. "
    expect(not close(end, 0.428), words + "You return the x before the last step.")
    expect(not close(top, 1.54), words + "In the last step nothing was clipped.")
    expect(
        not any(close(end, value, 1e-3) for value in (0.456084, 0.522013, 0.030060)),
        words + "Some noise is left at the end: abar[0] is 1, so at step 0 stands x̂_0 alone.",
    )
    finite(got)
    expect(close((end, top, bottom), (0.475, 1.0, -1.0)), words)

    steps = [10, 9, 4, 1, 0]
    x = torch.tensor([0.9, -1.2, 0.3]).view(3, 1, 1, 1) * torch.tensor([[1.0, 0.5], [-1.0, 2.0]])
    x = x.repeat(1, 3, 1, 1)  # (3, 3, 2, 2)
    network, asked = guesser(table, 0.5)
    got = draw(network, x, steps, abar)
    shape_like(got, x)
    finite(got)
    told = [t for _, t in asked]
    expect(
        told in (steps[:-1], steps[:-1] * 3, [t for t in steps[:-1] for _ in range(3)]),
        f"With steps = {steps} your network is asked at t = {shown(told)}. The list does not always fall by "
        "the same number: the next step is the next entry.",
    )
    third = next(x for x, t in asked if t == 4)[0, 0, 0, 0]
    expect(
        not close(third, 0.989368, 1e-3),
        f"With steps = {steps} x goes from 9 to 8, and not to 4. The list does not always fall by the same "
        "number: the next step is the next entry.",
    )
    alone = torch.cat([draw(guesser(table, 0.5)[0], x[i : i + 1], steps, abar) for i in range(3)])
    expect(
        close(got, alone),
        "Three pictures at once come out differently from one at a time. Is something of one picture used "
        "for all?",
    )
    hint = f"With steps = {steps} two pictures should begin with {{expected}}; yours are {{got}}."
    wanted = torch.tensor([[0.573920, 0.035704, -1.0, 1.0], [-0.143702, -0.323107, -0.785188, 0.215110]])
    same(got[::2, 1].flatten(1), wanted, hint, 1e-3)
    return "noise in, picture out, and no dice: the same noise always gives the same face."


# The straight line; that line pulled back to the sphere; one angle for the batch, for each pixel, for each
# colour; always a right angle; weights whose squares add up to 1; u from the other end; unit lengths; no
# division by sin θ, or by the lengths; NaN for x with itself, from 0/0 or from a cosine above 1; one equal
# pair that makes all pairs straight.
@exercise
def slerp(slerp):
    x = 3 * torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    y = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])  # at 60° to x
    right = torch.tensor([[[0.0, 2.0], [0.0, 2.0]], [[0.0, 2.0], [0.0, 2.0]]])
    angle = torch.tensor([[[0.5, 0.0], [0.5, 0.0]], [[0.5, 0.0], [0.5, 0.0]]])  # at 90° to the last one
    xs, ys = torch.stack([x, right, x]), torch.stack([y, angle, -y])  # (3, 2, 2, 2)
    got = slerp(x[None], y[None], 0.25)
    shape_like(got, x[None])
    finite(got)
    a, b = float(got[0, 1, 0, 0]) / 3, float(got[0, 0, 1, 0])  # what is there of x, and of y
    first, second = float(got[0, 0, 0, 0]), float(got[0, 1, 0, 1])
    told = f"θ = 60°, u = 1/4: x and y should have the weights 0.8165, 0.2989; yours: {a:.4g}, {b:.4g}. "
    expect(
        not close((a, b), (0.75, 0.25)),
        told + "This is the straight line. (Or your cosine is too large, and was cut at 1: it is divided by "
        "both lengths.)",
    )
    expect(
        not close((a, b), (0.298858, 0.816497)),
        told + "You come from the other end: at u = 0 one should have x.",
    )
    expect(
        not (close(a, 0.272166) and close(b, 0.149429)) and not close(got.norm(), 1.0),
        told + "The noises have lost their lengths. The lengths are needed for the angle only.",
    )
    expect(
        not close((a, b), (0.707107, 0.258819)),
        told + "Is something missing below? At u = 0 your weights are sin θ and 0, and should be 1 and 0.",
    )
    expect(
        not close((a, b), (0.866025, 0.5)),
        told + "Those are weights whose *squares* add up to 1. They keep the length only of noises at right "
        "angles, and do not walk evenly. Take the two sines.",
    )
    expect(
        not close((a, b), (0.923880, 0.382683)),
        told + "Your weights would be right if x and y were at right angles. Nearly true for noises, but "
        "measure the angle.",
    )
    expect(
        not (close(a / b, 3.0) and a > 0.75),
        told + "This is the straight line, pulled back to the sphere: right length, but it does not walk "
        "evenly along the arc.",
    )
    expect(not close(a, 0.333333), told + "It seems that you cut the values at 1. Noise may be larger.")
    expect(
        close(first, 3 * a + b) and close(second, b),
        "Within one picture the weights differ from place to place: there is an angle of its own for each "
        "pixel or colour. One picture is one vector: the sum runs over all its values.",
    )
    expect(
        not close((a, b), (0.78, 0.2717), 1e-3),
        told + "Your cosine is too large. The dot product must be divided by both lengths, here 6 and 2.",
    )
    expect(
        close((a, b), (0.816497, 0.298858), 1e-3), told + "Is your angle 1.0472? And both weights are sines."
    )

    got = slerp(xs, ys, 0.25)
    shape_like(got, xs)
    finite(got)
    weights = torch.stack([got[:, 1, 0, 0] / 3, got[:, 0, 1, 0]], 1)[::2].flatten()
    weights = torch.cat([weights, got[1, 0, 0].flip(0) / torch.tensor([2.0, 0.5])])
    expect(
        close(weights[:2], (0.816497, 0.298858), 1e-3),
        "Alone the first pair is right, in a batch of three it is not: you have one angle for the whole "
        "batch. Each pair has its own.",
    )
    same(
        weights[4:],
        torch.tensor([0.923880, 0.382683]),
        "θ = 90°, u = 1/4: the weights should be {expected}; yours are {got}.",
        1e-3,
    )
    same(
        weights[2:4] * torch.tensor([1.0, -1.0]),
        torch.tensor([1.154701, 0.577350]),
        "θ = 120°, u = 1/4: the weights should be {expected}; yours are {got}.",
        1e-3,
    )
    same(slerp(xs, ys, 0.0), xs, "At u = 0 one should be at x, {expected}; you are at {got}.", 1e-3)
    same(slerp(xs, ys, 1.0), ys, "At u = 1 one should be at y, {expected}; you are at {got}.", 1e-3)

    got = slerp(x[None], x[None], 0.3)
    shape_like(got, x[None])
    expect(
        not got.isnan().any(),
        "A noise with itself gives you NaN. The angle is 0, so sin θ is 0: there the straight line is right.",
    )
    many = torch.randn(40, 3, 5, 4)
    got = slerp(many, many, 0.3)
    shape_like(got, many)
    expect(
        not got.isnan().any(),
        "Forty noises, each with itself: some give NaN. Rounding has made their cosine 1.0000001, which no "
        "angle has.",
    )
    expect(
        close(got, many, 1e-2),
        f"A noise with itself: at u = 0.3 should be this noise, {shown(many)}, and you have {shown(got)}.",
    )
    mixed = slerp(torch.stack([x, right]), torch.stack([y, right]), 0.25)
    expect(
        not close(mixed[0, 1, 0, 0], 2.25, 1e-3),
        "If one pair of a batch is equal, the other pairs go along the straight line, too. Decide it for "
        "each pair: `torch.where`.",
    )
    hint = "Two pairs, and the second is one noise twice: the pictures should be {expected}; you have {got}."
    flat = torch.stack([mixed[0, 1, 0, 0], mixed[0, 0, 1, 0], mixed[1, 0, 0, 1]])
    same(flat, torch.tensor([2.449490, 0.298858, 2.0]), hint, 1e-3)
    return "an even walk along the sphere: every point on the way is as long as a noise should be."


# Asked at s; downwards; clipped, with the old ε or a new one, or at the end; from step 0; the face shrunk or
# made noisy first; ᾱ off by one; ε asked only once; random numbers; the network sees the face; x0 is the
# face; t a number, or the place in the list; one step too early; t and s exchanged; a stride; one step more
# at the top.
@exercise
def invert(invert):
    abar = torch.tensor([1.0, 0.9216, 0.8, 0.64, 0.6, 0.5, 0.45, 0.36, 0.25, 0.16, 0.0784])
    table = [0.7, -0.5, 0.6, -1.5, 0.2, -0.4, 0.3, -0.75, -0.2, 0.5, 0.4]
    face = torch.tensor([0.34, -0.9]).expand(1, 3, 1, 2).contiguous()
    network, asked = guesser(table)
    got = invert(network, face, [1, 3, 7, 10], abar)
    shape_like(got, face)
    told = [t for _, t in asked]
    expect(told, "Your function never asks the network.")
    words = f"With steps = [1, 3, 7, 10] your network is asked at t = {', '.join(map(str, told))}. "
    expect(told[:2] != [10, 7], words + "You begin at the top. A face stands at the bottom, and goes up.")
    expect(
        told != [3, 7, 10],
        words + "But first x still stands at step 1. Tell it the step where x is, not where it goes.",
    )
    expect(told != [0, 1, 2], words + "That is the place in the list. Tell it the step that stands there.")
    expect(told != [0, 2, 6], words + "Our tables begin with the clean picture at 0, so t needs no − 1.")
    expect(
        told[:1] != [0],
        words + "It was asked at step 0. No noise is there to guess: begin where the list begins.",
    )
    expect(
        told != [1],
        words + "You ask only once, and then go to the top in one stride. Ask again in each step.",
    )
    expect(told != [1, 3], words + "You stop one step too early: the last step leads from 7 to 10.")
    expect(told != [1, 3, 7, 10], words + "At step 10 you have arrived: nothing is left to ask.")
    expect(told == [1, 3, 7], words + "It should be 1, 3, 7: the entries of the list where a step begins.")
    first, second, third = (x for x, _ in asked)
    words = f"The first x that the network sees should be the face, 0.34, and is {shown(first[0, 0, 0, 0])}. "
    expect(close(first, face), words + "At the first step, take the face as it is.")
    finite(second, "The x that the network sees in the second step")
    again, asked_again = guesser(table)
    end = invert(again, face, [1, 3, 7, 10], abar)
    expect(
        close(asked_again[1][0], second) and close(end, got),
        "Twice the same face, two different results: you use random numbers. That is the forward process: it "
        "ends at *some* noise, and the face is lost. Here ε is what the network says.",
    )
    expect(
        not close(second, face),
        "In the second step the network sees the face again. It should see the x of the step before.",
    )
    shape_like(second, face, "The x that the network sees in the second step")
    one, two = float(second[0, 0, 0, 0]), float(third[0, 0, 0, 0])
    words = f"x = 0.34, ε = −0.5, from ᾱ = 0.9216 to 0.64: x should become 0.1, you have {shown(one)}. "
    expect(
        not close(one, -0.028, 1e-3),
        words + "You mix the noise with x itself. A face is known as x_t, with a little noise: first x̂_0.",
    )
    expect(
        not any(close(one, value, 1e-3) for value in (0.080498, 0.17187, 0.223607, 0.071071, 0.204105)),
        words + "This comes from an ᾱ that is off by one: abar[t] belongs to step t, and abar[0] is 1.",
    )
    expect(
        not close(one, 0.628, 1e-3),
        words + "Have t and s changed places: you leave step s, and arrive at t? The walk goes up.",
    )
    expect(
        not any(close(one, value, 1e-3) for value in (1.357143, 2.042857, -0.1)),
        words + "Which factor belongs to the picture, and which to the noise?",
    )
    expect(
        not any(close(one, value, 1e-3) for value in (0.083333, 0.029167, 0.14, 0.016, 0.22)),
        words + "Are the roots of ᾱ there?",
    )
    expect(
        not close(one, 0.1864, 1e-3),
        words + "You count the places of the list in abar. abar[t] wants the step itself.",
    )
    expect(not close(one, 0.5), words + "That is x̂_0: go on with x_s, with its noise.")
    expect(close(one, 0.1), words)
    words = f"From step 3 to 7, x = 0.1 with ε = −1.5 should become −0.45; you have {shown(two)}. "
    expect(
        not close(two, -0.6) and not close(two, -0.333333),
        words + "Here x̂_0 is 1.25. Do you clip the guess? On the way up nothing is cut off.",
    )
    expect(
        not close(two, -0.176777, 1e-3),
        words + "You went from 3 to 5. The list does not always rise by the same number.",
    )
    expect(close(two, -0.45), words)
    expect(close(float(third[0, 0, 0, 1]), -1.225), "You clip x on its way. It is no picture: let it be.")
    one, two = float(got[0, 0, 0, 0]), float(got[0, 0, 0, 1])
    words = f"At step 10 the two pixels should be −0.65 and −1.0117; you have {one:.4g} and {two:.4g}. "
    expect(not close(two, -1.0, 5e-3), words + "Nothing is clipped at the end, either.")
    expect(not close(one, -0.45), words + "You return the x before the last step.")
    finite(got)
    expect(close((one, two), (-0.65, -1.011667)), words)

    steps = [2, 4, 5, 9]
    faces = torch.tensor([0.9, -0.7, 0.3]).view(3, 1, 1, 1) * torch.tensor([[1.0, 0.5], [-1.0, 0.8]])
    faces = faces.repeat(1, 3, 1, 1)  # (3, 3, 2, 2)
    got = invert(guesser(table, 0.5)[0], faces, steps, abar)
    shape_like(got, faces)
    finite(got)
    alone = torch.cat([invert(guesser(table, 0.5)[0], faces[i : i + 1], steps, abar) for i in range(3)])
    expect(
        close(got, alone),
        "Three faces at once come out differently from one at a time. Is something of one face used for all?",
    )
    hint = f"With steps = {steps} two faces should begin with {{expected}}; yours are {{got}}."
    wanted = torch.tensor(
        [[0.650063, 0.291670, -0.783509, 0.506706], [0.172206, 0.052741, -0.305652, 0.124420]]
    )
    same(got[::2, 1].flatten(1), wanted, hint, 1e-3)
    return "every face has a noise of its own, from which the way down leads back to it, nearly."


summary = summary_of(__name__)
