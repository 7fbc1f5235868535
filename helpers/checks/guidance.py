"""Checks of homework guidance: the paper's w, open attributes, a gradient, a refusal, an interval.

Each comparison is a table: what comes out of a slip, and what to say about it.
"""

import torch

from helpers.checks import close, exercise, expect, same, shape_like, summary_of


def pictures(speed, b=3, c=4, h=5, w=6):
    """b pictures (b, c, h, w) of all sorts of numbers from −2 to 2."""
    return 2 * (speed * torch.arange(1.0, b * c * h * w + 1)).sin().view(b, c, h, w)


def tried(call, hints):
    """What call() answers; an error of torch that has one of these words in it becomes the hint beside it."""
    try:
        return call()
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        for word, hint in hints.items():
            expect(word not in str(error), hint)
        raise


def flat(value, b=1, shape=(4, 5, 6)):
    """Pictures that have the same value everywhere."""
    return torch.full((b, *shape), float(value))


# From here on a table keeps its rows.
# fmt: off


@exercise
def guided(guided):
    got = guided(flat(0.5), flat(0.3), 2.0)
    shape_like(got, flat(0))
    hint = "All channels are guided alike: yours treats some of the four otherwise than the others."
    expect(close(got, got[:, :1].expand_as(got)), hint)
    hint = "eps_y = 0.5, eps_n = 0.3, w = 2 should become {expected}, you have {got}."
    same(float(got[0, 0, 0, 0]), 0.9, hint, wrong={
        0.7: "It seems that you took w for s: the lecture's s is w + 1.",
        -0.1: "Have the two answers changed places?",
        0.1: "You go the wrong way: away from the wish, not further towards it.",
        2.1: "The answer without the wish is taken away, not added.",
        1.1: "That is one step too far: eps_y itself is already the first.",
        1.2: "Do the two factors add up to 1? They should, or a wish that changes nothing changes ε.",
        (0.45, 0.43333, 0.36667): "That is a mean of the two, which lies between them. Guidance goes "
                              "beyond eps_y.",
    })
    hint = "Without a strength, w = 0, the answer is eps_y = 0.5; you have {got}."
    same(float(guided(flat(0.5), flat(0.3), 0.0)[0, 0, 0, 0]), 0.5, hint)
    hint = "eps_y = 2, eps_n = −1, w = 3 should become {expected}, you have {got}."
    same(float(guided(flat(2), flat(-1), 3.0)[0, 0, 0, 0]), 11.0, hint, wrong={
        1.0: "Do you clip? ε is no picture, and may be as large as it likes.",
    })
    several = "w may be one number for each picture (B,): give it the shape (B, 1, 1, 1)."
    w = torch.tensor([0.0, 1.5, 4.0])
    got = tried(lambda: guided(flat(0.5, 3), flat(0.3, 3), w), {"must match the size": several})
    shape_like(got, flat(0, 3))
    hint = "Three pictures with w = 0, 1.5, 4 should have {expected}, you have {got}."
    same(got[:, 0, 0, 0], torch.tensor([0.5, 0.8, 1.3]), hint, wrong={
        (0.5, 0.5, 0.5): "All of them get the first picture's w.",
    })
    got = guided(pictures(1), pictures(2), w)
    hint = "Three pictures of all sorts of numbers: the picture {} does not come out right."
    for i, at in enumerate(w.tolist()):
        wanted = pictures(1)[i] + at * (pictures(1)[i] - pictures(2)[i])
        expect(close(got[i], wanted), hint.format(i + 1))
    return "the paper's w is the lecture's s − 1, and w = 0 is the model as it is."


@exercise
def leave_open(leave_open):
    attributes = torch.tensor([[1, 0, 5, 2], [0, 3, 1, 1], [4, 1, 2, 0]])
    random = torch.tensor([[0.9, 0.05, 0.5, 0.31], [0.29, 0.6, 0.7, 0.8], [0.0, 0.3, 0.95, 0.2]])
    got = leave_open(attributes, random, 0.3)
    expect(torch.is_tensor(got) and got.shape == (3, 4), "The answer has the shape of the attributes, "
                              "here (3, 4).")
    again = leave_open(attributes, random, 0.3)
    hint = "Twice the same call, two different answers: do not draw numbers of your own, they are given."
    expect(torch.equal(got, again), hint)
    wanted = [1, -1, 5, 2, -1, 3, 1, 1, -1, 1, 2, -1]
    hint = "With p = 0.3 your rows are {got}, expected were {expected}."
    same([float(v) for v in got.flatten()], [float(v) for v in wanted], hint, wrong=[
        ([-1, 0, -1, -1, 0, -1, -1, -1, 4, -1, -1, 0], "You open the wrong half: it is *below* p that one "
                              "is left open."),
        ([1, 0, 5, 2, 0, 3, 1, 1, 0, 1, 2, 0], "0 is a value of an attribute, for example \"no glasses\"; "
                              "open is −1."),
        ([-1] * 12, "You open the whole row as soon as one of its numbers is small. Each attribute is "
                    "opened alone."),
        ([1, 0, 5, 2, -1, -1, -1, -1, -1, -1, -1, -1], "The first number of a row decides for all of it; "
                              "each attribute has one."),
        ([1, -1, 5, 2, 0, -1, 1, 1, 4, -1, 2, 0], "The first row decides for all faces; each face has its "
                              "own numbers."),
        ([1, -1, -1, -1, -1, -1, 1, 1, -1, -1, 2, -1], "You open with the probability 1 − p instead of p."),
        ([1, -1, 5, 2, -1, 3, 1, 1, 3, 1, 2, -1], "Where it is open you take 1 away, but open is always −1."),
        ([0.9, -1, 0.5, 0.31, -1, 0.6, 0.7, 0.8, -1, 0.3, 0.95, -1],
         "What stays should be the attributes, but you return the random numbers themselves."),
        ([1, -1, 5, 2, -1, 3, 1, 1, -1, -1, 2, -1], "With p = 0 nothing may be lost, and a random number "
                              "can be exactly 0: ask for *below* p."),
    ])
    expect(not got.is_floating_point(), "Attributes are whole numbers, but your answer has decimals.")
    hint = "With p = 0 nothing may be lost, also where the random number is 0; with p = 1 everything."
    none, all_of_it = leave_open(attributes, random, 0.0), leave_open(attributes, random, 1.0)
    expect(torch.equal(none.long(), attributes) and bool((all_of_it == -1).all()), hint)
    return "each attribute is open alone now and then, so each can be asked for alone."


@exercise
def steer(steer):
    def half(x):  # log p = −x²/2 summed over a picture: the gradient is −x
        return -0.5 * x.square().flatten(1).sum(1)

    once = "A gradient can be taken only of one number: sum log_prob over the pictures first."
    may = "x_t may have no gradient yet: make a copy that may have a gradient, as the text says."
    several = "b has one number for each picture: give it the shape (B, 1, 1, 1)."
    errors = {"scalar outputs": once, "does not require grad": may, "to not have been used": may,
              "must match the size": several}
    b = torch.tensor([0.5, 0.8, 0.2])

    def ask(eps, x, s, log_prob=half):
        got = tried(lambda: steer(log_prob, eps, x, b, s), errors)
        shape_like(got, x)
        return got.detach()

    got = ask(flat(0.2, 3, (2, 1, 2)), flat(0.5, 3, (2, 1, 2)), 2.0)
    hint = ("log p = −½‖x‖², x = 0.5, ε = 0.2, s = 2, b = (0.5, 0.8, 0.2) should give {expected}, you "
            "have {got}.")
    same(got[:, 0, 0, 0], torch.tensor([0.7, 1.0, 0.4]), hint, wrong=[
        ((-0.3, -0.6, 0.0), "That leads away from the wish: the noise gets *less* of the gradient."),
        ((1.2, 1.2, 1.2), "The factor b is missing: it makes a score into a noise."),
        ((0.45, 0.84, 0.24), "You have b², the variance; it is the standard deviation b."),
        ((2.2, 1.45, 5.2), "You divide by b: −ε/b is the score, so ε gets −b times the gradient."),
        ((0.366667, 0.466667, 0.266667), "You take the mean over the pictures, so each gets a third. Take "
                              "the sum."),
        ((0.45, 0.6, 0.3), "The factor s is missing."),
        ((0.503265, 0.685225, 0.321306), "That is the gradient of p itself. The logarithm's is asked for."),
        ((0.7, 0.7, 0.7), "All pictures get the b of the first picture."),
        ((0.4, 0.52, 0.28), "The gradient is taken where ε is, not where the picture is."),
    ])

    def cubic(x):
        return (x**3 / 3 + x).flatten(1).sum(1)  # the gradient is x² + 1

    x, eps = pictures(1), pictures(2)
    got = ask(eps, x, 0.7, cubic)
    wanted = eps - 0.7 * b.view(-1, 1, 1, 1) * (x**2 + 1)
    expect(close(got, wanted), "On pictures of all sorts of numbers with another log p the answer is not "
                              "right.")
    return "the classifier's gradient, turned into noise: that is all of classifier guidance."


@exercise
def refuse(refuse):
    seen = []

    def network(x, t, attributes):
        expect(len(x) == len(t), "The network wants one t for each picture.")
        hint = "The network wants one row for each picture, but you give it another number of rows."
        expect(len(attributes) == len(x), hint)
        seen.append((t.tolist(), attributes.tolist()))
        value = 0.1 * attributes[:, 0] + 0.01 * attributes[:, 1] + 0.2
        return value.view(-1, 1, 1, 1) + 0.1 * x

    x, t = flat(0, 2, (3, 4, 5)), torch.tensor([400, 400])
    yes, no = torch.tensor([[3, -1], [5, -1]]), torch.tensor([[-1, 4], [-1, 2]])
    got = refuse(network, x, t, yes, no, 2.0)
    shape_like(got, x)
    asked = [row for _, rows in seen for row in rows]
    hint = ("You ask for both in one row of attributes, what is wanted and what is refused: then both are "
            "wished for. Ask twice.")
    expect([3, 4] not in asked, hint)
    expect([-1, 4] in asked or [-1, -1] in asked, "What is refused is not used: ask the network for `no`, "
                              "too.")
    expect([-1, 4] in asked, "You went away from what is left open. It is `no` that should stand there.")
    hint = "Both answers belong to x_t, so both are asked for at the same step t."
    expect(all(step == 400 for steps, _ in seen for step in steps), hint)
    hint = "Wanted 0.49 and 0.69, refused 0.14 and 0.12, s = 2: should give {expected}, you have {got}."
    same(got[:, 0, 0, 0], torch.tensor([0.84, 1.26]), hint, wrong={
        (-0.21, -0.45): "That goes towards what was refused.",
        (1.19, 1.83): "You start from the wanted answer; start from the refused answer.",
        (0.7, 1.14): "The starting point is missing: this is only the way, s times.",
        (0.79, 1.23): "You start from the open answer; start from the refused one.",
        (0.56, 1.02): "From s · (wanted − refused) nothing is taken away a second time: no second time "
                      "`refused`.",
    })
    x, t = pictures(1, 2, 3, 4, 5), torch.tensor([400, 400])
    got = refuse(network, x, t, yes, no, 0.6)
    wanted = torch.tensor([0.35, 0.462]).view(-1, 1, 1, 1) + 0.1 * x
    expect(close(got, wanted), "With s = 0.6 and other pictures the answer is not right.")
    return "the null of guidance is whatever you want to get away from."


@exercise
def limited(limited):
    t = torch.tensor([100, 300, 500, 700, 900])
    shape = ("t has one number for each picture: what you make of it needs the shape (B, 1, 1, 1), not a "
             "shape of its own.")
    errors = {"Boolean value of Tensor": "`if` wants one truth value, but t has several numbers, one for "
              "each picture.",
              "must match the size": shape}

    def ask(y, n, s, low, high):
        got = tried(lambda: limited(y, n, t, s, low, high), errors)
        shape_like(got, y)
        return got

    got = ask(flat(0.5, 5, (2, 3, 4)), flat(0.3, 5, (2, 3, 4)), 4.0, 300, 700)
    hint = "t = 100, 300, 500, 700, 900, guided with s = 4 in 300…700: should be {expected}, you have {got}."
    same(got[:, 0, 0, 0], torch.tensor([0.5, 1.1, 1.1, 1.1, 0.5]), hint, wrong={
        (0.3, 1.1, 1.1, 1.1, 0.3): "Outside of the interval yours answers without the wish. It should "
                              "follow it, unguided.",
        (0.5, 0.5, 1.1, 0.5, 0.5): "The interval is low ≤ t ≤ high: both ends belong to it.",
        (1.1, 0.5, 0.5, 0.5, 1.1): "Have inside and outside changed places?",
        (0.5, 0.5, 0.5, 0.5, 0.5): "The first picture decides for all, but each has its own t.",
        (0.0, 1.1, 1.1, 1.1, 0.0): "Outside of the interval yours answers nothing at all: 0.",
        (1.1, 1.1, 1.1, 1.1, 1.1): "Yours guides everywhere. Is there an or where and belongs, or no "
                              "condition?",
        (0.5, 1.3, 1.3, 1.3, 0.5): "With s you start from eps_n; you start from eps_y, which is one step "
                              "too far.",
    })
    y, n = pictures(1, 5), pictures(2, 5)
    got = ask(y, n, 2.5, 450, 950)
    scale = torch.tensor([1.0, 1.0, 2.5, 2.5, 2.5]).view(-1, 1, 1, 1)
    expect(close(got, n + scale * (y - n)), "With 450…950 and other pictures the answer is not right.")
    return "guidance can be switched on for a part of the walk, picture by picture."


summary = summary_of(__name__)
