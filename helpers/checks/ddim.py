"""Checks of homework ddim: a step of DDIM, the list of steps, the whole sampler, slerp, the way backwards.

Each comparison is a table: what comes out of a slip, and what to say about it. The numbers were computed
once, on paper; no check computes an answer. The last pictures of a check hold all sorts of numbers.
"""

import torch

from helpers.checks import close, describe, exercise, expect, finite, same, shape_like, shown, summary_of


def guesser(table, slope=0.0):
    """A dummy network that guesses ε = table[t] + slope · x, and the list of its calls: pairs x, t."""
    calls, values = [], torch.tensor(table)

    def network(x, t):
        expect(
            torch.is_tensor(t) and t.shape == (len(x),),
            "The t that the network sees should be a tensor with one entry for each picture, here of shape "
            f"({len(x)},); yours is {describe(t)}.",
        )
        expect(
            not t.is_floating_point(),
            "The t that the network sees counts steps, so it should be a tensor of whole numbers; yours is "
            f"{describe(t)}.",
        )
        expect(len(set(t.tolist())) == 1, "The pictures of a batch should all be asked about at one step.")
        calls.append((x.detach().clone(), int(t[0])))
        return values[t.clamp(0, len(values) - 1)].view(-1, 1, 1, 1).to(x.dtype) + slope * x

    return network, calls


def pictures(speed):
    """Two pictures (2, 3, 4, 5) of all sorts of numbers from −1.5 to 1.5."""
    return 1.5 * (speed * torch.arange(1.0, 121.0)).sin().view(2, 3, 4, 5)


def slip(steps, wrong):
    """What a table {"10, 7, 4": sentence} says of a list of steps, else ""; "10, 7, …" is how it begins."""
    text = ", ".join(map(str, steps))
    for there, sentence in wrong.items():
        if text == there or there.endswith("…") and f"{text}, ".startswith(there[:-1]):
            return sentence
    return ""


def visits(times, steps, expected, hint, wrong):
    """Ask for the steps at which the network was called; `wrong` is a table for slip()."""
    expect(times, "Your function never asks the network.")
    asked = f"With steps = {steps} your network is asked at t = {', '.join(map(str, times))}."
    expect(times == expected, f"{asked} {slip(times, wrong) or hint}")


# From here on a table keeps its rows.
# fmt: off


@exercise
def ddim_step(ddim_step):
    x_t, eps, z = (torch.zeros(1, 2, 2, 3) for _ in range(3))
    x_t[..., 0], eps[..., 1], z[..., 2] = 0.5, 0.5, 0.5  # each alone in its column
    abar_t, abar_s = torch.tensor([0.36]), torch.tensor([0.9216])

    def ask(eta, x_t=x_t):
        got, again = (ddim_step(x_t, eps, abar_t, abar_s, eta, z) for _ in range(2))
        shape_like(got, x_t)
        hint = (f"With ᾱ_t = 0.36, ᾱ_s = 0.9216, η = {eta:g} your answer has NaN in it: it came from a root "
                "of a negative number. Which quotient is upside down, or which variance is too large?")
        expect(not got.isnan().any(), hint)
        finite(got)
        hint = "Twice the same call, two different answers. Draw no noise of your own: z is given."
        expect(close(got, again), hint)
        hint = "Pixels that are the same come out different: does a sum or a mean run over the picture?"
        expect(close(got, got[:, :1, :1].expand_as(got)), hint)
        return got[0, 0, 0].tolist()

    x, e, n = ask(0.0)
    same(n, 0.0, "η = 0 means: no fresh noise. But z = 0.5 still moves a pixel of zeros to {got}.")
    hint = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 0: x_t = 0.5 with ε = 0 should become {expected}, you have {got}."
    same(x, 0.8, hint, wrong={
        0.5: "You find x̂_0 with ᾱ_s. But x_t stands at step t.",
        0.3125: "Have t and s changed places? You come from t, where there is more noise, and go to s.",
        (1.28, 1.333333, 0.768, 0.6912): "Are the roots of ᾱ there? Signal and noise are √ᾱ and √(1 − ᾱ).",
        (0.175, 0.6, 0.233333):
            "Which factor belongs to the picture, and which to the noise? Here more picture is left.",
        0.833333: "That is x̂_0 itself. It must still be made weaker, as it is at step s.",
        0.48: "The division in x̂_0 is missing.",
    })
    hint = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 0: ε = 0.5 with x_t = 0 should become {expected}, you have {got}."
    same(e, -0.5, hint, wrong={
        0.78: "In x̂_0 the noise is taken *away*.",
        -0.78: "The noise of step s is put *on* the picture: plus.",
        -0.64: "At step s there is still noise: the part with ε is missing.",
        -0.609375: "Your part with ε does not depend on η: this is the mean of DDPM, right for η = 1 only.",
        (-0.4845, -0.459688, -0.249687): "Did you put β, that is 1 − ᾱ_t/ᾱ_s, where 1 − ᾱ belongs?",
        (-0.372, -0.6008, -0.4728): "Are the roots there? The noise has the factor √(1 − ᾱ).",
        0.0: "x̂_0 needs the noise of step t, and the new part that of step s.",
    })

    _, e, n = ask(1.0)
    cut = ("Your σ is σ̂, the large one of DDPM. Then 1 − ᾱ_s − σ² is below 0: a negative number under the "
           "root, cut to 0, hides that something is wrong. Equation 16 has one factor more.")
    large = "That is the large one, σ̂, which would add noise in the last step, too."
    hint = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 1: z = 0.5 alone should become {expected}, you have {got}."
    same(n, 0.136609, hint, wrong={
        0.390312: cut if close(e, -0.64) else large,
        0.0: "No fresh noise came in.",
        (0.037324, 0.304688): "That is the *variance*. z is multiplied by the standard deviation.",
        (0.175, 0.14, 0.5): "Your σ lacks a part. Equation 16 has η and two roots.",
    })
    hint = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 1: ε = 0.5 with x_t = 0 should become {expected}, you have {got}."
    same(e, -0.609375, hint, wrong={
        -0.5: "Fresh noise comes in: the old must become *weaker*, or there is too much at step s.",
        -0.636609:
            "You take σ away from the root. But variances add up, not deviations: take σ² away, under it.",
        (-0.64, -0.638125): "What stands under your root? Too much is taken away there.",
    })

    _, e, n = ask(0.5)
    hint = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 0.5: z = 0.5 alone should become {expected}, you have {got}."
    same(n, 0.068305, hint, wrong={
        0.136609: "Is η a factor of σ?",
        0.034152: "Is η squared? In σ it stands once.",
        0.096597: "Does η stand under a root? It is a factor of σ itself.",
    })
    hint = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 0.5: ε = 0.5 with x_t = 0 should become {expected}, you have {got}."
    same(e, -0.517793, hint, wrong={-0.609375: "That is right for η = 1: η belongs under this root, too."})
    hint = "ᾱ_t = 0.36, ᾱ_s = 0.9216, η = 0: x_t = 2 with ε = 0 should become {expected}, you have {got}."
    same(ask(0.0, 4 * x_t)[0], 3.2, hint, wrong={(0.96, 1.0): "Do you clip? Not here."})

    flat, signs = torch.ones(3, 2, 2, 3), torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1, 1)
    abar_t, abar_s = torch.tensor([0.36, 0.0784, 0.64]), torch.tensor([0.9216, 0.36, 1.0])
    got = ddim_step(0.5 * flat, signs * flat, abar_t, abar_s, 1.0, -signs * flat)
    shape_like(got, flat)
    finite(got)
    hint = ("Three pictures, flat and three pixels wide: your answer differs along the width. There is one ᾱ "
            "for each *picture*: give it the shape (B, 1, 1, 1).")
    expect(close(got, got[..., :1].expand_as(got)), hint)
    hint = "Three pictures, each with its own ᾱ, ε and z, should have the values {expected}, you have {got}."
    same(got[:, 0, 0, 0], torch.tensor([-0.691969, 3.554488, -0.125]), hint, wrong={
        (-0.691969, 2.291968, -0.691969): "Every one goes with the ᾱ of the first.",
        (-0.41875, 2.817461, -0.125):
            "The last picture arrives at ᾱ_s = 1 and needs no noise; the others should still get theirs.",
        (-0.691969, 3.554488, -0.725): "Yours adds noise where ᾱ_s = 1. What is σ there?",
    })

    abar_t, abar_s = torch.tensor([0.36, 0.5]), torch.tensor([0.9216, 0.8])
    got = ddim_step(pictures(1), pictures(2), abar_t, abar_s, 0.7, pictures(3))
    wanted = torch.tensor([[2.579125, 1.701900, -3.571441], [-0.982724, 0.053099, 1.031685]])
    hint = "Pictures of all sorts of numbers, η = 0.7: one place should have {expected}, yours has {got}."
    same(got[:, :, 1, 2], wanted, hint)
    return "one step for all samplers: η = 0 adds no noise, η = 1 is DDPM, and s may be far from t."


@exercise
def step_list(step_list):
    def ask(T, S, spacing, expected, hint, wrong):
        got, call = step_list(T, S, spacing), f"step_list({T}, {S}, '{spacing}')"
        words = (f"`{call}` should be a list, but it is {describe(got)}. `list(…)` makes one, and so does "
                 "`.tolist()` of a tensor or an array.")
        expect(isinstance(got, (list, tuple)), words)
        strange = [step for step in got if "int" not in str(getattr(step, "dtype", type(step).__name__))]
        expect(not strange, f"In `{call}` there is {next(iter(strange), None)}: this is not a whole number.")
        steps = [int(step) for step in got]
        expect(steps, f"`{call}` gives you an empty list.")
        squared = spacing == "quadratic"
        flaws = [
            (steps[0] < steps[-1], "Your list rises. A sampler begins at T and falls."),
            (steps[0] > T and squared, "That is more than T. Square u = i/S, and not the step."),
            (steps[0] != T, "The first entry should be T: the sampler begins with pure noise."),
            (len(steps) == S and 0 not in steps, "The clean picture is missing: the last entry should be 0."),
            (len(steps) != S + 1, "S steps need S + 1 numbers: a step leads from one entry to the next."),
            (steps[-1] != 0, "The last entry should be 0: there stands the clean picture."),
            (len(set(steps)) <= S, "An entry comes twice."),
        ]
        flaw = next((sentence for found, sentence in flaws if found), hint)
        told = f"`{call}` gives you {steps if len(steps) < 15 else shown(steps)}."
        expect(steps == expected, f"{told} {slip(steps, wrong) or flaw}")

    ask(10, 3, "uniform", [10, 7, 3, 0], "It should be [10, 7, 3, 0].", wrong={
        "10, 7, 4, 1, …":
            "That is a fixed stride, 10 // 3 = 3: it does not arrive at 0. Here the strides must differ.",
        "10, 6, 3, 0": "The nearest whole number to 6.67 is 7. Do you round down?",
        "10, 7, 4, 0": "The nearest whole number to 3.33 is 3. Is this a fixed stride?",
    })
    hint = "(2/5)² · 100 is 16: square u, then multiply by T."
    ask(100, 5, "quadratic", [100, 64, 36, 16, 4, 0], hint, wrong={
        "100, 80, 60, 40, 20, 0": "You give the same list for both spacings.",
        "100, 96, 84, 64, 36, 0": "Its small steps are at the noisy end. They belong near the clean picture.",
        "100, 89, …": "Its small steps are at the noisy end: did you take the root of i/S? Take its square.",
        "80, …": "It begins at 0.8 T, as in the code of the DDIM paper. Ours begins at T: u = 1 at the end.",
    })
    hint = "The nearest whole numbers are 1000, 735, 510, 327, 184, 82, 20, 0."
    ask(1000, 7, "quadratic", [1000, 735, 510, 327, 184, 82, 20, 0], hint, wrong={
        "1000, 734, 510, 326, 184, 82, 20, 0":
            "You round, and then you square and round again. Round only once, at the end.",
        "1000, 734, 510, 326, 183, 81, 20, 0":
            "1000 · (6/7)² is 734.69, and the nearest whole number is 735. Do you round down?",
    })
    rising = "Before the repair the rising list begins with 0, 0, 1, 3."
    hint = f"{rising} Move an entry only where it is not larger than the one before, to one more than it."
    ask(20, 8, "quadratic", [20, 15, 11, 8, 5, 3, 2, 1, 0], hint, wrong={
        "20, 15, 11, 8, 5, 3, 1, 0":
            f"{rising} A step that comes twice must be moved; if you throw it away, seven steps are left.",
        "20, 15, 11, 8, 5, 3, 1, 0, 0":
            f"{rising} One entry comes twice. A step from 0 to 0 only costs a call of the network.",
        "20, 15, 11, 8, 5, 3, 1, 1, 0":
            f"{rising} You moved the second 0 up to 1. The entry after it may now be too small itself: look "
            "at the entries *as they are now*.",
    })
    hint = "With S = T there is one list only: every step, once."
    ask(9, 9, "quadratic", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], hint, {})
    ask(12, 1, "uniform", [12, 0], "One step leads from T to 0 at once: [12, 0].", {})
    ask(1000, 20, "uniform", [*range(1000, -1, -50)], "It should be 1000, 950, 900, … 50, 0.", {})
    hint = "It should be 50, 43, 36, 30, 24, 19, 14, 11, 7, 5, 3, 2, 1, 0."
    ask(50, 13, "quadratic", [50, 43, 36, 30, 24, 19, 14, 11, 7, 5, 3, 2, 1, 0], hint, {})
    return "S calls of the network instead of T; the same network, asked at fewer steps."


@exercise
def draw(draw):
    abar = torch.tensor([1.0, 0.98, 0.95, 0.9216, 0.8, 0.64, 0.5, 0.36, 0.25, 0.16, 0.0784])
    table = [0.7, 0.3, -0.3, -0.1, 0.2, -0.4, 0.6, 0.5, -0.2, 0.4, -0.6]
    x = torch.tensor([0.58, 2.0, -2.0]).expand(1, 3, 1, 3).contiguous()
    network, calls = guesser(table)
    got = draw(network, x, [7, 3, 0], abar)
    shape_like(got, x)
    hint = "It should be 7 and 3: the entries of the list where a step begins. Do you count your own?"
    visits([t for _, t in calls], [7, 3, 0], [7, 3], hint, wrong={
        "0, 1": "That is the place in the list. It should be told the step that stands at this place.",
        "6, 2": "Our tables begin with the clean picture at 0, so t needs no − 1.",
        "3, 0": "That is the step to which x shall go. Tell it the step where x stands *now*.",
        "7": "You stop one step too early: the last step leads from 3 to 0.",
        "7, 3, 0": "At step 0 you have arrived: nothing is left to ask.",
        "7, 7, 3, 3": "Once in each step is enough: what changes after clipping is no guess.",
        "0, …": "A sampler walks down, from noise to picture.",
        "3, 7, …": "A sampler walks down, from noise to picture.",
    })
    (first, _), (second, _) = calls
    expect(close(first, x), "In the first step the network should see x as it is given; yours was changed.")
    shape_like(second, x, "The x that the network sees in the second step")
    finite(second, "The x that the network sees in the second step")
    network, calls = guesser(table)
    draw(network, x, [7, 3, 0], abar)
    hint = ("Twice the same x, two different results: your function draws random numbers. With η = 0 there "
            "are none; the old ε is used.")
    expect(close(calls[1][0], second), hint)

    (one, high, low), (end, top, bottom) = second[0, 0, 0].tolist(), got[0, 0, 0].tolist()
    derived = "After one step x is what it was: you derive ε with the ᾱ of the wrong step. x_t stands at t."
    again = "In the second step the network sees the beginning again. It should see the x of the step before."
    expect(not close(second, x), derived if close(end, 0.633333) else again)
    hint = "x = 0.58, ε = 0.5, from ᾱ = 0.36 to 0.9216: x should become {expected}, you have {got}."
    same(one, 0.428, hint, wrong={
        (0.423939, 0.486546, 0.447434, 0.404207, 0.491935, 0.422216):
            "This comes from an ᾱ that is off by one: abar[t] belongs to step t, and abar[0] is 1.",
        (0.578, 0.476, 0.564): "Which factor belongs to the picture, and which to the noise?",
        0.675: "Have t and s changed places?",
        (0.7048, 0.833333, 0.31568, 0.556, 0.3272): "Are the roots of ᾱ there?",
        0.3: "That is x̂_0: the network should see x_s, with its noise.",
        0.288: "The part with ε is missing.",
        0.338: "The division in x̂_0 is missing.",
        0.953: "In x̂_0 the noise is taken *away*.",
    })
    hint = ("x = 2 and x = −2, ε = 0.5, from ᾱ = 0.36 to 0.9216: here x̂_0 is outside of [−1, 1]. They should "
            "become {expected}, you have {got}.")
    same((high, low), (1.45, -1.45), hint, wrong={
        (1.1, -0.82):
            "You clip it, but you go on with the old ε: it no longer fits to the new x̂_0. Derive it again.",
        (2.7, -3.7): "Your x̂_0 was not clipped.",
        (1.0, -1.0): "You clip x itself. But x_s may be large, it has noise in it; only x̂_0 is a picture.",
        (1.45, -0.7): "x = −2 is clipped at 0 by you. Pictures are in [−1, 1].",
    })
    hint = "From [7, 3, 0] the pixel 0.58 should arrive at {expected}, you have {got}."
    same(end, 0.475, hint, wrong={
        0.428: "You return the x before the last step.",
        (0.456084, 0.522013, 0.03006):
            "Some noise is left at the end: abar[0] is 1, so at step 0 stands x̂_0 alone.",
    })
    hint = "From [7, 3, 0] the pixels 2 and −2 should arrive at {expected}, you have {got}."
    same((top, bottom), (1.0, -1.0), hint, wrong={
        (1.539583, -1.48125): "In the last step nothing was clipped.",
    })

    steps, x = [10, 9, 4, 1, 0], pictures(1) / 2
    stride = "The list does not always fall by the same number: the next step is the next entry."
    network, calls = guesser(table, 0.5)
    got = draw(network, x, steps, abar)
    shape_like(got, x)
    seen = {t: x for x, t in reversed(calls)}  # one by one, the pictures come to a step several times
    visits([*seen][::-1], steps, steps[:-1], stride, wrong={})
    hint = f"With steps = {steps}, at t = 4 the network should see {{expected}} in one place, not {{got}}."
    same(float(seen[4][0, 0, 1, 2]), 0.566077, hint, wrong={
        0.821924: f"Your x goes from 9 to 8, and not to 4. {stride}",
    })
    alone = torch.cat([draw(guesser(table, 0.5)[0], x[i : i + 1], steps, abar) for i in range(2)])
    hint = "Two pictures at once and one at a time: not the same. Is something of one picture used for all?"
    expect(close(got, alone), hint)
    wanted = torch.tensor([[0.384969, -0.259503, -0.898245], [-0.948008, -0.470759, 0.328869]])
    hint = f"With steps = {steps} one place should have {{expected}} at the end, yours has {{got}}."
    same(got[:, :, 1, 2], wanted, hint)
    return "noise in, picture out, and no dice: the same noise always gives the same face."


@exercise
def slerp(slerp):
    x = 3 * torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    y = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])  # at 60° to x
    right = torch.tensor([[[0.0, 2.0], [0.0, 2.0]], [[0.0, 2.0], [0.0, 2.0]]])
    angle = torch.tensor([[[0.5, 0.0], [0.5, 0.0]], [[0.5, 0.0], [0.5, 0.0]]])  # at 90° to the last one
    got = slerp(x[None], y[None], 0.25)
    shape_like(got, x[None])
    finite(got)
    a, b = float(got[0, 1, 0, 0]) / 3, float(got[0, 0, 1, 0])  # what is there of x, and of y
    cut = close((a, got[0, 0, 0, 0]), (0.333333, 1.0))
    expect(not cut, "It seems that you cut the values at 1. Noise may be larger.")
    hint = ("Within one picture the weights differ from place to place: there is an angle of its own for "
            "each pixel or colour. One picture is one vector: the sum runs over all its values.")
    expect(close(got[0, 0, 0, 0], 3 * a + b) and close(got[0, 1, 0, 1], b), hint)
    hint = "θ = 60° (1.0472), u = 1/4: x and y should have the weights {expected}, yours are {got}."
    same((a, b), (0.816497, 0.298858), hint, wrong={
        (0.75, 0.25):
            "This is the straight line. (Or your cosine, not divided by both lengths, was cut at 1.)",
        (0.298858, 0.816497): "You come from the other end: at u = 0 one should have x.",
        (0.136083, 0.149429):
            "The noises have lost their lengths. The lengths are needed for the angle only.",
        (0.707107, 0.258819):
            "Is something missing below? At u = 0 your weights are sin θ and 0, and should be 1 and 0.",
        (0.866025, 0.5):
            "Those are weights whose *squares* add up to 1. They keep the length only of noises at right "
            "angles, and do not walk evenly. Take the two sines.",
        (0.92388, 0.382683):
            "Your weights would be right if x and y were at right angles. That is nearly true for noises, "
            "but measure the angle.",
        ((0.786214, 0.262071), (0.943456, 0.314485)):
            "This is the straight line, pulled back to the sphere: right length, but it does not walk evenly "
            "along the arc.",
        (0.779958, 0.271684):
            "Your cosine is too large. The dot product must be divided by both lengths, here 6 and 2.",
    })

    xs, ys = torch.stack([x, right, x]), torch.stack([y, angle, -y])  # (3, 2, 2, 2)
    got = slerp(xs, ys, 0.25)
    shape_like(got, xs)
    hint = ("Alone the first pair has the weights {expected}, in a batch of three {got}: you have one angle "
            "for the whole batch. Each pair has its own.")
    same((float(got[0, 1, 0, 0]) / 3, float(got[0, 0, 1, 0])), (0.816497, 0.298858), hint)
    hint = "θ = 90°, u = 1/4: the weights should be {expected}, yours are {got}."
    same((float(got[1, 0, 0, 1]) / 2, float(got[1, 0, 0, 0]) * 2), (0.92388, 0.382683), hint)
    hint = "θ = 120°, u = 1/4: the weights should be {expected}, yours are {got}."
    same((float(got[2, 1, 0, 0]) / 3, -float(got[2, 0, 1, 0])), (1.154701, 0.57735), hint)
    same(slerp(xs, ys, 0.0), xs, "At u = 0 one should be at x, {expected}; you are at {got}.", 1e-3)
    same(slerp(xs, ys, 1.0), ys, "At u = 1 one should be at y, {expected}; you are at {got}.", 1e-3)

    hint = "A noise with itself gives NaN. The angle is 0, so sin θ is 0: there the straight line is right."
    expect(not slerp(x[None], x[None], 0.3).isnan().any(), hint)
    many = torch.randn(40, 3, 5, 4)
    got = slerp(many, many, 0.3)
    hint = ("Forty noises, each with itself: some give NaN. Rounding has made their cosine 1.0000001, which "
            "no angle has.")
    expect(not got.isnan().any(), hint)
    hint = "A noise with itself: at u = 0.3 should be this noise, {expected}, and you have {got}."
    same(got, many, hint, 1e-2)
    got = slerp(torch.stack([x, right]), torch.stack([y, right]), 0.25)
    values = float(got[0, 1, 0, 0]), float(got[0, 0, 1, 0]), float(got[1, 0, 0, 1])
    hint = "Two pairs, and the second is one noise twice: here {expected} should come, you have {got}."
    same(values, (2.44949, 0.298858, 2.0), hint, wrong={
        (2.25, 0.25, 2.0):
            "If one pair of a batch is equal, the other pairs go along the straight line, too. Decide it for "
            "each pair: `torch.where`.",
    })

    x, y = pictures(1), pictures(2) + pictures(1) * torch.tensor([1.0, -0.5]).view(2, 1, 1, 1)
    wanted = torch.tensor([[1.445486, 0.176220, -0.745482], [-1.793327, 0.108031, 1.738053]])
    hint = "Two pairs of all sorts of numbers, u = 0.3: one place should have {expected}; yours has {got}."
    same(slerp(x, y, 0.3)[:, :, 1, 2], wanted, hint)
    return "an even walk along the sphere: every point on the way is as long as a noise should be."


@exercise
def invert(invert):
    abar = torch.tensor([1.0, 0.9216, 0.8, 0.64, 0.6, 0.5, 0.45, 0.36, 0.25, 0.16, 0.0784])
    table = [0.7, -0.5, 0.6, -1.5, 0.2, -0.4, 0.3, -0.75, -0.2, 0.5, 0.4]
    face = torch.tensor([0.34, -0.9]).expand(1, 3, 1, 2).contiguous()
    network, calls = guesser(table)
    got = invert(network, face, [1, 3, 7, 10], abar)
    shape_like(got, face)
    hint = "It should be 1, 3, 7: the entries of the list where a step begins."
    visits([t for _, t in calls], [1, 3, 7, 10], [1, 3, 7], hint, wrong={
        "10, 7, …": "You begin at the top. A face stands at the bottom, and goes up.",
        "3, 7, 10": "But first x still stands at step 1. Tell it the step where x is, not where it goes.",
        "0, 1, 2": "That is the place in the list. Tell it the step that stands there.",
        "0, 2, 6": "Our tables begin with the clean picture at 0, so t needs no − 1.",
        "0, …": "It was asked at step 0. No noise is there to guess: begin where the list begins.",
        "1": "You ask only once, and then go to the top in one stride. Ask again in each step.",
        "1, 3": "You stop one step too early: the last step leads from 7 to 10.",
        "1, 3, 7, 10": "At step 10 you have arrived: nothing is left to ask.",
    })
    first, second, third = (x for x, _ in calls)
    hint = f"The network should see the face first, and it sees {shown(first)}: take the face as it is."
    expect(close(first, face), hint)
    finite(second, "The x that the network sees in the second step")
    shape_like(second, face, "The x that the network sees in the second step")
    network, calls = guesser(table)
    end = invert(network, face, [1, 3, 7, 10], abar)
    hint = ("Twice the same face, two different results: you use random numbers. That is the forward "
            "process: it ends at *some* noise, and the face is lost. Here ε is what the network says.")
    expect(close(calls[1][0], second) and close(end, got), hint)

    hint = "In the second step the network sees the face again. It should see the x of the step before."
    expect(not close(second, face), hint)
    hint = "x = 0.34, ε = −0.5, from ᾱ = 0.9216 to 0.64: x should become {expected}, you have {got}."
    same(float(second[0, 0, 0, 0]), 0.1, hint, wrong={
        -0.028: "You mix the noise with x itself. A face is known as x_t, with a little noise: first x̂_0.",
        (0.080498, 0.17187, 0.223607, 0.071071, 0.204105):
            "This comes from an ᾱ that is off by one: abar[t] belongs to step t, and abar[0] is 1.",
        0.628: "Have t and s changed places: you leave step s, and arrive at t? The walk goes up.",
        (1.357143, 2.042857, -0.1): "Which factor belongs to the picture, and which to the noise?",
        (0.083333, 0.029167, 0.14, 0.016, 0.22): "Are the roots of ᾱ there?",
        0.1864: "You count the places of the list in abar. abar[t] wants the step itself.",
        0.5: "That is x̂_0: go on with x_s, with its noise.",
        0.084: "The division in x̂_0 is missing.",
        -0.133333: "In x̂_0 the noise is taken *away*.",
    })
    hint = "From step 3 to 7, x = 0.1 with ε = −1.5 should become {expected}, you have {got}."
    same(float(third[0, 0, 0, 0]), -0.45, hint, wrong={
        (-0.6, -0.333333): "Here x̂_0 is 1.25. Do you clip the guess? On the way up nothing is cut off.",
        -0.176777: "You went from 3 to 5. The list does not always rise by the same number.",
    })
    hint = "From step 1 to 7, the pixel −0.9 should become {expected}, you have {got}."
    same(float(third[0, 0, 0, 1]), -1.225, hint, wrong={-1.0: "You clip x. It is no picture: let it be."})
    hint = "At step 10 the two pixels should be {expected}, you have {got}."
    same(tuple(got[0, 0, 0].tolist()), (-0.65, -1.011667), hint, wrong={
        (-0.65, -1.0): "Nothing is clipped at the end, either.",
        (-0.45, -1.225): "You return the x before the last step.",
    })

    steps, faces = [2, 4, 5, 9], pictures(1)
    got = invert(guesser(table, 0.5)[0], faces, steps, abar)
    shape_like(got, faces)
    alone = torch.cat([invert(guesser(table, 0.5)[0], faces[i : i + 1], steps, abar) for i in range(2)])
    hint = "Two faces at once and one at a time: not the same. Is something of one face used for all?"
    expect(close(got, alone), hint)
    wanted = torch.tensor([[1.115207, 0.256913, -0.984513], [-1.139426, -0.024435, 1.040495]])
    hint = f"With steps = {steps} one place should have {{expected}} at the end, yours has {{got}}."
    same(got[:, :, 1, 2], wanted, hint)
    return "every face has a noise of its own, from which the way down leads back to it, nearly."


summary = summary_of(__name__)
