"""Checks of homework ddpm: attention, the stack of skips, the training loss, precision and recall.

Above each check stand the mistakes that it was written for; the master tries them all. The numbers
below were computed once, on paper; no check computes an answer.
"""

import torch

from helpers.checks import Hint, close, exercise, expect, finite, same, shape_like, shown, summary_of

ABAR = torch.tensor([1.0, 0.8, 0.5, 0.3, 0.1])  # ᾱ_0 … ᾱ_4


# Softmax left out, over the wrong axis, or division by the plain sum; only the best key; no root, d for
# √d, multiplied by √d, √M for √d; the keys read in place of the values; the queries in place of the keys.
@exercise
def attention(attention):
    def ask(q, k, v):
        answer = attention(torch.tensor(q), torch.tensor(k), torch.tensor(v))
        shape_like(answer, torch.zeros(len(q), len(v[0])))
        return answer

    blind = ask([[0.0, 0, 0, 0]], [[2.0, 0, 0, 0], [0, 0, 0, 0]], [[1.0], [4.0]])
    expect(
        bool(torch.isfinite(blind).all()),
        "A query of zeros fits all keys alike, with scores 0, and your answer is NaN or infinite. Do you "
        "divide by the sum of the scores? The softmax first makes e^score, which is never 0.",
    )
    expect(
        not close(blind, [[1.0]]) and not close(blind, [[4.0]]),
        "A query of zeros fits both keys alike, yet you read only one of the two values. Soft, not hard: "
        "all values are read, each with its weight.",
    )
    expect(
        not close(blind, [[0.0]]),
        "With scores 0 you read nothing. Scores are not yet weights: weights are positive and add up to 1.",
    )
    expect(
        not close(blind, [[1.25]]) and not close(blind, [[0.625]]),
        "Your weights add up to less than 1. It is the scores that are divided, before the softmax.",
    )
    expect(
        not close(blind, [[5.0]]),
        "One query, two keys that fit alike, and each value is read with weight 1. Along which axis do the "
        "weights add up to 1? For each query, over all keys.",
    )
    same(blind, torch.tensor([[2.5]]), "Values 1 and 4, read in equal parts: {expected}, not {got}.")

    k = [[1.0, 0, 2, 0], [0, 1, 0, 1], [2, 1, 0, 0]]
    ones = ask([[1.0, 2, 0, 1], [0, 0, 3, 1]], k, [[1.0], [1.0], [1.0]])
    same(
        ones,
        torch.ones(2, 1),
        "All values are 1, so every answer must be 1, but you have {got}. The weights of each query add up "
        "to 1 over the keys: along which axis does your softmax run?",
    )
    expect(
        not close(ask([[0.0, 0, 9, 0]], k, [[1.0], [0.0], [0.0]]), [[1 / 3]], 1e-2),
        "A query that fits the first key alone is answered as if all fitted alike. Do the keys have a part "
        "in your scores?",
    )

    got = ask([[2.0, 0, 0, 0]], [[2.0, 0, 0, 0], [0, 0, 0, 0]], [[1.0], [0.0]]).item()
    expect(
        not close(got, 0.982014),
        "One score is 4, the other 0, d = 4: your weight 0.982 belongs to the score 4 as it is. "
        "Long keys make large scores: what are they divided by?",
    )
    expect(not close(got, 0.731059), "You divide by d. The spread of q·k grows with the root of d.")
    expect(not close(got, 0.999665), "You multiply by √d. The scores should become smaller.")
    expect(
        not close(got, 0.944193), "You divide by the root of the number of keys. d is the length of one key."
    )
    same(got, 0.880797, "Scores 4 and 0, d = 4: weight {expected} for the first key, you have {got}.")
    same(
        ask([[1.0, 0], [0, 2]], [[1.0, 0], [0, 1], [1, 1]], [[1.0, 0, 2], [0, 1, 0], [3, 0, 1]]),
        torch.tensor([[1.604448, 0.197776, 1.203336], [1.445808, 0.445808, 0.662576]]),
        "Two queries, three keys, values of length 3: {expected}, but you have {got}.",
        1e-3,
    )
    return "a soft look-up: every query reads all values, those with fitting keys the most, however far away."


def marked(number):
    """A picture (1, 1, 2, 2) that can be recognised."""
    return torch.full((1, 1, 2, 2), float(number))


# The queue for the stack; the top left on the stack; laid down before the stage instead of after it; added
# instead of put beside; the wrong axis; skip first; a skip for every stage on the way up; no middle; the
# input not laid down (stops).
@exercise
def u_net(u_net):
    seen = []

    def up(x):
        if x.ndim != 4 or x.shape[0] != 1 or x.shape[2:] != (2, 2):
            raise Hint(
                f"A stage on the way up is given a picture of shape {tuple(x.shape)}, where (1, 2, 2, 2) was "
                "expected: put the two beside each other along the *channels*. Which axis is that?"
            )
        if x.shape[1] == 1:
            raise Hint(
                "A stage with takes_skip = True is given one channel. Its own picture and the one from the "
                "stack are put beside each other (torch.cat), so it reads two. Did you add them?"
            )
        seen.append([float(c) for c in x[0, :, 0, 0]])
        return x[:, :1]

    def grow(x):
        if x.shape[1] != 1:
            raise Hint("A stage with takes_skip = False is given something from the stack. Ask the flag.")
        return x + 0.25

    down = [lambda x: 10 * x, lambda x: 10 * x]
    rising = [(True, up), (False, grow), (True, up), (True, up)]
    end = u_net(marked(1), down, lambda x: x + 0.5, rising)
    expect(len(seen) == 3, f"Three stages take a skip, but {len(seen)} were called.")
    expect(
        seen[0] != [100, 100],
        "The first picture on the way up comes straight from the way down. Where is the middle?",
    )
    expect(
        seen[0] != [100, 100.5],
        "The skip stands before the stage's own picture. Their order is part of the network: own first.",
    )
    expect(
        seen[0][1] != 1,
        "The first stage on the way up gets what was laid down *first*. It must get what was laid down last, "
        "which has its size: take from the top of the stack.",
    )
    expect(
        seen[0][1] != 10, "The top of your stack is what the last stage was *given*. Lay down what it made."
    )
    expect(
        seen[0][1] != 100.5,
        "The first skip is what the middle made. Only the first convolution and the stages of `down` lay "
        "something on the stack.",
    )
    expect(
        seen[1][1] != 100,
        "The second stage on the way up gets the same skip as the first. Take it *off* the stack.",
    )
    given = ", ".join(shown(torch.tensor(s)) for s in seen)
    expect(
        seen == [[100.5, 100.0], [100.75, 10.0], [100.75, 1.0]],
        f"x = 1, twice ·10, middle +0.5, and one stage +0.25 on the way up: the stages with a skip should "
        f"see (100.5, 100), (100.75, 10), (100.75, 1). Yours see {given}.",
    )
    same(end, marked(100.75), "The last stage made {expected}; you return {got}.")
    return "last laid down, first taken: so each level meets the picture of its own size again."


class Network:
    """A network for checks: remembers what it was asked, and answers as told."""

    def __init__(self, answer):
        self.answer, self.scale, self.asked = answer, torch.ones((), requires_grad=True), []

    def __call__(self, x, t):
        if not (torch.is_tensor(t) and t.shape == (len(x),) and not t.is_floating_point()):
            said = f"a tensor of shape {tuple(t.shape)}, {t.dtype}" if torch.is_tensor(t) else f"{t!r}"
            raise Hint(
                f"The network wants one whole t for each picture, a long tensor ({len(x)},); it was given "
                f"{said}."
            )
        self.asked.append((x.detach(), t))
        return self.scale * self.answer(x, t)


# t from 0, or never T; one t for all; roots left out; signal and noise changed places; ᾱ one too low; noise
# drawn twice, or uniform; the network shown x_0; x_0 or x_t as the target; sum, absolute value, root or half
# for the mean square; a plain number that cannot be learned from.
@exercise
def training_loss(training_loss):
    x0 = torch.ones(4000, 1, 2, 2)

    def ask(answer, x0=x0):
        network = Network(answer)
        value = training_loss(network, x0, ABAR)
        expect(len(network.asked) == 1, f"The network is asked {len(network.asked)} times, once is enough.")
        shape_like(value, 0.0)
        expect(
            torch.is_tensor(value) and value.requires_grad,
            "Your loss is a plain number, and no gradient can flow back through it. Return the tensor "
            "itself, without .item(), .detach() or no_grad.",
        )
        finite(value)
        return float(value.detach()), *network.asked[0]

    loss, x_t, t = ask(lambda x, t: 0 * x + 2)
    expect(
        x_t.shape == x0.shape,
        f"The network is given pictures of shape {tuple(x_t.shape)}, but x0 has {tuple(x0.shape)}.",
    )
    expect(
        not torch.equal(x_t, x0),
        "The network is shown the clean pictures. There is no noise in them that it could guess.",
    )
    expect(t.min() != t.max(), f"All 4000 pictures have the same step t = {int(t[0])}. Draw one for each.")
    expect(t.min() >= 1, "Some t are 0, where there is no noise to guess. The steps are 1 … T.")
    expect(
        t.max() >= 4,
        f"The largest of 4000 steps is {int(t.max())}, but T = 4. The upper end of randint is not drawn.",
    )
    expect(t.max() == 4, f"There are t up to {int(t.max())}, but the table ends at T = 4: len − 1.")
    counts = t.bincount()[1:]
    expect(
        counts.max() < 1.5 * counts.min(),
        f"All t must be equally frequent; yours come {shown(counts)} times.",
    )
    at_3 = x_t[t == 3]
    signal, noise = float(at_3.mean()), float(at_3.std())
    expect(noise > 0.01, "All your x_t with t = 3 are equal: the noise is missing in them.")
    expect(
        float(at_3.flatten(1).std(1).mean()) > 0.01,
        "All pixels of a picture get the same noise. ε has the shape of x_0: each pixel has its own.",
    )
    expect(
        not (abs(noise - 0.2415) < 0.02 and signal > 0.8),
        "Your noise is not Gaussian: at t = 3 its standard deviation is "
        f"{noise:.2f}, and its mean is not 0. Which function draws from N(0, 1)?",
    )
    expect(abs(signal - 0.3) > 0.05, "The picture is multiplied by ᾱ_t itself. Is a root missing?")
    expect(
        not (abs(signal - 0.8367) < 0.05 and abs(noise - 0.5477) < 0.05),
        "At t = 3, where ᾱ_3 = 0.3, more picture than noise is left. Have the two factors changed places?",
    )
    expect(
        not (abs(signal - 0.7071) < 0.05 and abs(noise - 0.7071) < 0.05),
        "At t = 3 you mix as for ᾱ = 0.5, which is ᾱ_2. alphas_cumprod[t] is ᾱ_t.",
    )
    expect(abs(noise - 0.7) > 0.03, "The noise is multiplied by 1 − ᾱ_t itself. Is a root missing?")
    expect(
        abs(signal - 0.5477) < 0.05 and abs(noise - 0.8367) < 0.05,
        f"x_0 = 1 and t = 3, ᾱ_3 = 0.3: your x_t has mean {signal:.2f} and standard deviation "
        f"{noise:.2f}, not 0.55 and 0.84.",
    )

    # the network always answers 2: (ε − 2)² is 1 + 4 on average
    expect(
        abs(loss - 80_000) > 5000 and abs(loss - 20) > 1,
        "Your loss grows with the number of pixels or pictures: a sum. Take the mean.",
    )
    expect(abs(loss - 2.24) > 0.1, "This is the root of the mean square. Without the root.")
    expect(abs(loss - 2.5) > 0.1, "Half of it: there is no factor ½ in L_simple.")
    expect(abs(loss - 2.01) > 0.1, "This is the mean *absolute* error. The mean square is asked for.")
    expect(
        abs(loss - 1.0) > 0.05,
        "The network answers 2, the picture is 1, and your loss is 1: you compare with x_0. "
        "The network guesses the noise.",
    )
    expect(
        abs(loss - 5.0) < 0.3,
        f"A network that always answers 2 costs 1 + 4 = 5 on average, not {loss:.3g}. What is compared?",
    )

    def oracle(x, t):  # knows that x_0 is 1, and so what the noise in x_t was
        factors = torch.tensor([[1, 1], [0.894427, 0.447214], [0.707107, 0.707107]])
        factors = torch.cat([factors, torch.tensor([[0.547723, 0.836660], [0.316228, 0.948683]])])
        signal, noise = factors[t].T.reshape(2, -1, 1, 1, 1)
        return (x - signal) / noise

    loss = ask(oracle)[0]
    expect(
        abs(loss - 2.0) > 0.2,
        "A network that finds exactly the noise in x_t has loss 2 with you. Do you draw the noise twice? "
        "The noise that was mixed in is the one to be guessed.",
    )
    expect(
        abs(loss) < 1e-4,
        f"A network that finds exactly the noise in x_t should have loss 0; with you it is {loss:.3g}.",
    )
    return "Algorithm 1: one random step, one jump, one guess. All that DDPM learns, it learns from this."


# Exchanged; the point itself counted as its neighbour; the balls of the points asked about; only the ball of
# the nearest; all balls for any; one radius for all; k not used; the number of balls; divided by the size
# of the other set.
@exercise
def precision_recall(precision_recall):
    real = torch.tensor([0.0, 1, 2, 3, 10])[:, None]
    fake = torch.tensor([-2.5, -0.9, 3.9, 5, 16, 19])[:, None]

    def ask(real, fake, k):
        answer = precision_recall(real, fake, k)
        shape_like(answer, (0.0, 0.0), "Your answer (precision, recall)")
        answer = tuple(float(part) for part in answer)
        finite(torch.tensor(answer))
        return answer

    got = ask(real, fake, 1)
    expect(
        not close(got, (0.4, 4 / 6)),
        "Precision and recall have changed places. Precision asks about the *samples*: how many look real?",
    )
    expect(
        got != (0.0, 0.0),
        "Your balls have hardly any size at k = 1. In the list of distances to its own set every point finds "
        "itself first, at distance 0. Or do you ask for a point that lies in *all* balls? One is enough.",
    )
    expect(
        not close(got, (2 / 6, 0.6)),
        "You draw the balls around the points you ask about. A *sample* is real enough if it lies in a ball "
        "of the real ones: its radius is that of the real point in its middle.",
    )
    expect(
        not close(got, (3 / 6, 0.4)),
        "You look only at the ball of the nearest point. The sample 5 is nearer to 3, but lies in the large "
        "ball around 10. Any ball counts.",
    )
    expect(
        not close(got, (4 / 5, 2 / 6)),
        "Your counts are right, but divided by the size of the other set. The share *of the samples*.",
    )
    expect(
        not close(got, (5 / 6, 4 / 5)) and not close(got, (1.0, 1.0)),
        "Your balls seem to be of one size. Each has its own radius: small where points are dense.",
    )
    shares = all(0 <= part <= 1 for part in got)
    expect(shares, f"Precision and recall are shares, between 0 and 1; you have {shown(got)}.")
    same(
        got,
        (4 / 6, 0.4),
        "Real 0, 1, 2, 3, 10, samples −2.5, −0.9, 3.9, 5, 16, 19, k = 1: precision and recall {expected}, "
        "not {got}. Draw it on paper: the radii of the real balls are 1, 1, 1, 1, 7.",
    )
    got = ask(real, fake, 2)
    expect(not close(got, (4 / 6, 0.4)), "With k = 2 nothing changes. Is k used?")
    same(got, (4 / 6, 1.0), "The same points with k = 2: {expected}, but you have {got}.")
    plane = torch.tensor([[0.0, 0], [3, 4], [6, 8], [0, 5]])
    same(
        ask(plane, torch.tensor([[-2.3, -3.3], [9, 12.5], [3, 3]]), 1),
        (2 / 3, 1.0),
        "In the plane, with four real points and three samples: {expected}, you have {got}. The distance is "
        "the root of the sum of squares over the features.",
    )
    same(ask(real, real, 2), (1.0, 1.0), "Real pictures as samples: {expected}, but you have {got}.")
    return "two questions, two numbers: do the samples look real, and is all that is real among the samples?"


summary = summary_of(__name__)
