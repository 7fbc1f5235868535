"""Checks of homework forward_process: the jump, a table from a curve, KL to the prior, a matched filter.

Above each check stand the mistakes that it was written for; the master tries them all.
"""

import torch

from helpers import schedules
from helpers.checks import close, exercise, expect, finite, same, shape_like, summary_of


# Fresh noise; ᾱ for its root; signal and noise exchanged; table read at t − 1; 1 − ᾱ for its root;
# 1 − √ᾱ; minus; factors spread over the columns or channels; t of the first picture for all; one
# noise for all.
@exercise
def add_noise(add_noise):
    table = torch.tensor([1.0, 0.81, 0.64, 0.25, 0.04])  # roots: 1, 0.9, 0.8, 0.5, 0.2
    one, zero = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)

    def at(t, x0, eps):
        answer = add_noise(x0, torch.tensor(t), eps, table)
        shape_like(answer, x0)
        finite(answer)
        return answer

    expect(
        close(at([2], zero, one), at([2], zero, one)),
        "Two calls with the same eps give two different pictures. The noise is handed to you as "
        "`eps`: use it, and draw none of your own.",
    )
    signal = at([2], one, zero)
    expect(
        not close(signal, 0.64 * one),
        "With ᾱ = 0.64 and eps = 0, your picture is multiplied by 0.64. ᾱ belongs to the variance; "
        "what stands in front of x0 is a standard deviation.",
    )
    expect(
        not close(signal, 0.6 * one),
        "With ᾱ = 0.64 and eps = 0, your picture is multiplied by 0.6, which is the factor of the "
        "noise. Have signal and noise changed places?",
    )
    for other, root in ((1, 0.9), (3, 0.5)):
        expect(
            not close(signal, root * one),
            f"At t = 2 you use the entry of t = {other}. In this table index 0 is the clean picture.",
        )
    same(signal, 0.8 * one, "With ᾱ = 0.64 and eps = 0, 1 should become {expected}; yours is {got}.")
    noise = at([2], zero, one)
    expect(
        not close(noise, 0.36 * one),
        "With ᾱ = 0.64 your noise is multiplied by 0.36. That is its variance: which factor gives "
        "noise of this variance?",
    )
    expect(
        not close(noise, 0.2 * one),
        "With ᾱ = 0.64 your noise is multiplied by 0.2 = 1 − 0.8. It is the squares of signal and "
        "noise that add up to 1.",
    )
    expect(not close(noise, -0.6 * one), "Your noise is taken away. In the formula it is added.")
    same(noise, 0.6 * one, "With ᾱ = 0.64 and x0 = 0, noise 1 becomes {expected}; yours is {got}.")
    same(at([0], one, 5 * one), one, "At t = 0 the picture should stay as it is: 1, not {got}.")

    cube = torch.ones(3, 3, 3, 3)  # every direction has length 3, so that a wrong one goes unnoticed
    factors = at([1, 2, 3], cube, 0 * cube)
    expect(
        not close(factors, 0.9 * cube),
        "A batch with t = 1, 2, 3: all three pictures get the ᾱ of the first. Each has its own t.",
    )
    expect(
        close(factors, factors[:, :1, :1, :1].expand_as(factors)),
        "A batch with t = 1, 2, 3: your factors change *within* a picture, from column to column or "
        "from channel to channel. What shape must they have to be one number per picture?",
    )
    hint = "A batch with t = 1, 2, 3, x0 = 1 and eps = 0 should have the factors 0.9, 0.8, 0.5."
    same(factors, torch.tensor([0.9, 0.8, 0.5]).view(3, 1, 1, 1) * cube, hint)
    three = torch.tensor([1.0, -1.0, 2.0]).view(3, 1, 1, 1) * cube
    noises = at([2, 2, 2], 0 * cube, three)
    expect(
        not close(noises, 0.6 * cube),
        "All pictures of a batch get the noise of the first. Each has its own eps.",
    )
    same(noises, 0.6 * three, "A batch with three noises comes out wrong: 1, −1, 2 became {got}.")
    x0 = torch.linspace(-1, 1, 140).view(5, 1, 4, 7)
    answer = at([4, 0, 3, 3, 1], x0, x0.flip(0))
    expected = torch.tensor([0.399156, -0.597122, -0.265343, -0.412807, 0.114470])
    same(answer[:, 0, 0, 0], expected, "A batch of 5 pictures 4×7: first pixels {got}, not {expected}.")
    return "x_t in one jump, each picture at its own t: every training loop of this course begins so."


def _straight(u):
    expect(
        hasattr(u, "dtype"),
        "Your function hands the curve a plain number. A curve takes a *tensor* of places u: one that is "
        "made of `torch.cos` or `torch.exp` would stop here.",
    )
    return 2 - u  # starts at 2, on purpose


def _to_zero(u):
    return (1 - u) ** 2


# The curve itself, not divided by its start; β given back; √ᾱ given back; ratio upside down;
# difference for ratio; sum for product; u = t/(T+1); no largest β; β cut far too early; ᾱ cut, not β.
@exercise
def table_from_curve(table_from_curve):
    def table(curve, T):
        answer = table_from_curve(curve, T)
        expect(
            not hasattr(answer, "shape") or tuple(answer.shape) != (T,),
            f"For T = {T} your table has {T} entries. It needs one more: index 0, the clean picture.",
        )
        shape_like(answer, torch.zeros(T + 1))
        finite(answer)
        return answer.double()

    a = table(_straight, 4)
    expect(
        not close(a, [2.0, 1.75, 1.5, 1.25, 1.0]),
        "A curve that starts at 2 gives you a table that starts at 2. Index 0 is the clean picture: "
        "ᾱ = 1, whatever the curve starts with. Only ratios of the curve count.",
    )
    expect(not close(a[0], 0.0), "Index 0 should be ᾱ = 1; yours is 0. Are these the β?")
    same(a[0], 1.0, "Index 0 is the clean picture: ᾱ = {expected}, not {got}.")
    expect(a[-1] <= 1, "Your ᾱ gets larger with t. In the ratio, which of the two comes later?")
    hint = "A curve from 2 down to 1, T = 4: {expected} expected, yours is {got}."
    expect(
        not close(a, [1.0, 0.935414, 0.866025, 0.790569, 0.707107]),
        "Your entries are the roots of ᾱ: that is the signal. Asked for was ᾱ.",
    )
    expect(
        not close(a[2], 0.5625),
        "For this curve your β are all the same, 0.25. A step takes away a *share* of what is there: "
        "compare two neighbours by their ratio, not by their difference.",
    )
    expect(
        not close(a, [1.0, 0.875, 0.732143, 0.565476, 0.365476]),
        "You add up what the steps take away. Each step takes its share of what the one before it "
        "has left: what kind of operation is that?",
    )
    expect(
        not close(a[-1], 0.6),
        "The last entry should belong to the end of the curve, u = 1; yours belongs to u = 0.8. "
        "At which places u is the curve to be read?",
    )
    same(a, torch.tensor([1.0, 0.875, 0.75, 0.625, 0.5]).double(), hint)

    a = table(_to_zero, 3)
    expect(
        close(a[:3], [1.0, 4 / 9, 1 / 9]),
        "The curve (1 − u)² with T = 3 has β = 5/9 and 3/4 in its first two steps, and both are "
        "allowed: only a β above 0.999 is cut.",
    )
    expect(
        a[3] > 0,
        "The curve (1 − u)² ends at 0, and your last ᾱ is 0: the last β is 1. No β above 0.999 is "
        "allowed, so that something of the picture is left to divide by.",
    )
    share = float(a[3] / a[2])
    expect(
        abs(share - 0.001) < 1e-5,
        f"Where β is cut at 0.999, a share of 0.001 is left; in your table it is {share:.4g}. What is "
        "it that must be cut, ᾱ or β?",
    )
    return "any falling curve makes a schedule. This is how the cosine table was made (β ≤ 0.999)."


# Over the batch, too; D and ‖x0‖² of the whole batch (the lecture's line as it stands); log of the
# std; sign of the log; std for variance; − 1 forgotten; ½ forgotten; the other direction; bits; signal
# not squared; (Σx)² or Σ|x|; mean over pixels; H·W for D; width once.
@exercise
def kl_to_noise(kl_to_noise):
    def kl(x0, signal, noise):
        signal, noise = torch.tensor(signal), torch.tensor(noise)
        answer = kl_to_noise(x0, signal, noise)
        expect(
            not hasattr(answer, "shape") or tuple(answer.shape) != () or len(x0) == 1,
            "A batch of pictures gives you one number. Asked for is one number for each picture.",
        )
        shape_like(answer, signal)
        finite(answer)
        return answer

    dark = torch.zeros(2, 1, 1, 1)  # one number per picture, and it is 0
    none = kl(dark, [0.0, 0.0], [1.0, 1.0])
    expect(
        not close(none, [0.5, 0.5]) and not close(none, [1.0, 1.0]),
        "Signal 0 and noise 1 *is* the prior, so the KL is 0; yours is positive. Which term is "
        "missing in the bracket?",
    )
    same(none, torch.zeros(2), "Signal 0 and noise 1 is the prior: KL 0, not {got}.")
    narrow = kl(dark, [0.0, 0.0], [0.5, 0.5])[:1]
    expect(
        close(narrow, kl(dark[:1], [0.0], [0.5])),
        "What a picture gets changes with the number of pictures beside it. D counts the numbers of "
        "one picture, and ‖x0‖² belongs to one picture.",
    )
    expect(
        not close(narrow, [0.443147]) and not close(narrow, [0.096574]),
        "`noise` is a standard deviation. In one place of the formula you use it as if it were "
        "the variance already.",
    )
    expect(not close(narrow, [0.806853]), "This is the other direction, KL(prior ‖ q). Who comes first?")
    expect(
        not close(narrow, [0.318147 / 0.693147]) and not close(narrow, [0.625]),
        "Your unit is the bit, or your logarithm has base 2. Asked for are nats.",
    )
    expect(not close(narrow, [0.636294]), "Twice too much. Is a factor ½ missing?")
    expect(
        narrow[0] >= 0,
        f"A KL is never negative; yours is {float(narrow[0]):.4g} for signal 0, noise 0.5. Look at the "
        "logarithm: its sign, and of what it is taken.",
    )
    same(narrow, torch.tensor([0.318147]), "One pixel, signal 0, noise 0.5: {expected}, not {got}.")

    grey = torch.full((2, 1, 1, 1), 0.4)
    far = kl(grey, [0.8, 0.8], [1.0, 1.0])[:1]
    expect(
        close(far, kl(grey[:1], [0.8], [1.0])),
        "What a picture gets changes with the brightness of the pictures beside it: ‖x0‖² belongs to one "
        "picture.",
    )
    expect(not close(far, [0.064]), "The signal enters with its square, as every factor of a mean does.")
    expect(not close(far, [0.128]), "In ‖x0‖² every value is squared; yours come in without a square.")
    expect(
        not close(far, [0.1024]),
        "The part with ‖x0‖² is twice too large. To how much of the bracket does the ½ belong?",
    )
    same(far, torch.tensor([0.0512]), "One pixel of 0.4, signal 0.8, noise 1: {expected}, not {got}.")
    board = torch.tensor([0.5, -0.5, 0.5, -0.5]).view(1, 1, 2, 2)
    expect(
        not close(kl(board, [0.5], [1.0]), [0.0]),
        "A picture of +0.5 and −0.5 has KL 0 for you: they cancel. What is added up, the values "
        "or their squares?",
    )
    four = kl(board, [0.5], [1.0])
    expect(not close(four, [0.25]), "‖x0‖² is the sum of the squares, not of the absolute values.")
    expect(
        not close(four, [0.03125]),
        "Four pixels have the same KL as one for you. The KLs of independent pixels are not averaged.",
    )
    same(four, torch.tensor([0.125]), "Four pixels ± 0.5, signal 0.5, noise 1: {expected}, not {got}.")
    color = kl(torch.zeros(1, 3, 2, 2), [0.0], [0.5])
    expect(
        not close(color, [4 * 0.318147]),
        "A colour picture 2×2 counts as 4 numbers for you. How many numbers does it have?",
    )
    expect(
        not close(color, [0.318147]),
        "For a picture of 12 numbers the part that is about the noise counts only once for you.",
    )
    same(color, torch.tensor([3.817766]), "A black colour picture 2×2, noise 0.5: {expected}, not {got}.")
    x0 = torch.linspace(-1, 1, 60).view(3, 1, 4, 5)
    answer = kl(x0, [0.9, 0.1, 0.0], [0.4, 0.9, 1.0])
    expected = torch.tensor([13.958363, 0.211031, 0.0])
    same(answer, expected, "Three pictures, each with its own signal and noise: {expected}, not {got}.")
    return "it tells in nats how far x_T is from noise, for every path. In session elbo it is L_T."


# No size term; too much of it; without the signal; last right step given back; table read at t − 1;
# noise of the first for all; stops when all (or half) are wrong; noisy candidates; 1 − ᾱ for its
# root; T where it never happens; eps not scaled.
@exercise
def first_mistake(first_mistake):
    T = 5
    table = schedules.from_alphas_cumprod(torch.tensor([0.81, 0.64, 0.36, 0.16, 0.04]))

    def step(faces, eps):
        faces, eps = torch.tensor(faces).view(2, 1, 1, 2), torch.tensor(eps).view(2, 1, 1, 2)
        answer = first_mistake(faces, eps, table)
        shape_like(answer, 0)
        return int(answer)

    still = [[0.0, 0.0], [0.0, 0.0]]
    bright = [[0.2, 0.0], [1.0, 0.0]]  # the same face, dark and bright
    pair = [[1.0, 0.0], [-1.0, 0.0]]
    never = step(pair, still)
    expect(
        never != T,
        f"Without noise no face is ever mistaken. Then the answer should be T + 1 = {T + 1}, not {never}.",
    )
    expect(
        never > T,
        f"Two faces of one size and no noise (eps = 0), and you find a mistake at t = {never}. Do you draw "
        "noise of your own, or take the smallest for the largest?",
    )
    t = step(bright, still)
    if t == 1:
        pushed = step(bright, [[-5.0, 0.0], [0.0, 0.0]])  # the dark one is pushed out of reach
        expect(
            pushed > T,
            "Without any noise (eps = 0) a bright face is taken for a dark one. What you take off "
            "for the size of a face is too much.",
        )
        expect(
            False,
            "Without any noise (eps = 0) a dark face is taken for a bright one. A bright face "
            "multiplies into large numbers with everything: what has to be taken off?",
        )
    expect(
        t > T,
        f"Without any noise (eps = 0) faces are confused from t = {t} on. A face is hidden in x_t as "
        "signal · face: how does this enter the part that is about the size?",
    )
    same(t, T + 1, f"Where no face is ever mistaken the answer should be T + 1 = {T + 1}, not {t}.")

    second, first = step(pair, [[0.0, 0.0], [0.92, 0.0]]), step(pair, [[-0.92, 0.0], [0.0, 0.0]])
    expect(
        (second, first) != (T + 1, 3), "Noise on the second face is never noticed. Each face has its own eps."
    )
    expect(
        (second, first) != (T + 1, T + 1),
        "Two faces, noise on one of them: it is mistaken from some step on, but you never find it. "
        "One wrong face is enough, and the candidates are the clean faces.",
    )
    expect(
        second != 2,
        "Two faces, and the second is mistaken at t = 3 for the first time. You give 2: the last "
        "step that was right.",
    )
    expect(
        second != 4,
        "Two faces, and the second is mistaken at t = 3 for the first time. You give 4: your x_t has "
        "less noise than it should at this t. Which entry of the table, and which root of it?",
    )
    expect(
        second != 1,
        "Two faces, and the second is mistaken at t = 3 for the first time. You give 1: your x_t has "
        "more noise than it should. By what is eps multiplied?",
    )
    same(second, 3, "Two faces, and the second is mistaken at t = {expected}; yours is {got}.")
    same(first, 3, "Two faces, and the first is mistaken at t = {expected}; yours is {got}.")
    last = step(pair, [[0.0, 0.0], [0.3, 0.0]])
    same(
        last,
        T,
        "Two faces, and the second is mistaken only at the last step, t = T = {expected}; you give {got}. "
        "Which is the last t that you try?",
    )
    generator = torch.Generator().manual_seed(0)
    faces = torch.rand(6, 3, 4, 4, generator=generator) * 2 - 1
    eps = torch.randn(6, 3, 4, 4, generator=generator)
    answer = first_mistake(faces, eps, schedules.cosine(100))
    same(answer, 66, "Six random pictures, cosine, T = 100: {expected}, but you have {got}.")
    return "before this step every face is still known, by whoever adds up all the pixels."


summary = summary_of(__name__)
