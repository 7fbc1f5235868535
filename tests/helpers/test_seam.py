"""The one seam: x_t = signal · x0 + noise · ε for every denoiser and for whatever wraps one."""

import pytest
import torch

from helpers.diffusion import Denoiser, add_noise
from helpers.exact import MixtureDenoiser
from helpers.guidance import guide
from helpers.samplers import denoise, last, pairs, sample, timesteps
from helpers.schedules import cosine, linear, rectified_flow
from helpers.targets import TARGETS, from_target, to_target
from helpers.tasks import restore
from tests.helpers.theirs import randn

TABLES = {"linear": linear(50), "cosine": cosine(50), "flow": rectified_flow(50)}
X, T = 3 * randn(5, 3, 4, 6), torch.tensor([1, 2, 20, 37, 49])
HOLE = torch.zeros(5, 1, 4, 6, dtype=torch.bool)
HOLE[:, :, 1:3, 2:5] = True


def network(x, t, attributes=None, image=None):
    """Some function of all that it is given."""
    more = 0 if image is None else image.roll(1, 2)
    more = more if attributes is None else more + attributes.view(-1, 1, 1, 1) / 3
    return torch.tanh(x.roll(1, 1) + 0.3 * x + more + t.view(-1, 1, 1, 1) / 50)


def wrapped(table):
    """Every wrapper of the course around one network, with what it is called with: a new one belongs here."""
    predict, y = Denoiser(network, table, "v"), randn(5, 3, 4, 6, seed=1)
    attributes = dict(attributes=torch.tensor([1, 0, 2, 1, 0]))
    return {
        "denoiser": (predict, {}),
        "guided": (guide(predict, 2.5, attributes=-1), attributes),
        "restored": (restore(predict, table, y, HOLE), {}),
        "guided and restored": (restore(guide(predict, 2.5, attributes=-1), table, y, HOLE), attributes),
        "clipped": (lambda x, t: tuple(map(torch.cat, zip(*clipped(predict, table, x, t), strict=True))), {}),
    }


def clipped(predict, table, x, t):
    return [denoise(predict, table, x[i : i + 1], int(t[i])) for i in range(len(x))]


@pytest.mark.parametrize("name", wrapped(TABLES["linear"]))
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_wrapper_answers_a_point_on_the_line(table, name):
    predict, condition = wrapped(table)[name]
    x0, eps = predict(X, T, **condition)
    signal, noise = table.at(T, like=X)
    assert (signal * x0 + noise * eps - X).abs().max() < 1e-12
    assert not torch.allclose(x0, wrapped(table)["denoiser"][0](X, T)[0]) or name == "denoiser"


@pytest.mark.parametrize("target", TARGETS)
def test_the_targets_agree_with_the_exact_denoiser(target):
    """A network that answers the truth in any target is the exact denoiser, rectified flow too."""
    table = rectified_flow(1000)
    exact = MixtureDenoiser(table, randn(3, 2), torch.tensor([0.3, 0.2, 0.5]).double())
    t = torch.tensor([1, 250, 500, 750, 999])
    x_t = add_noise(table, exact.sample(5), t, randn(5, 2, seed=1))
    x0, eps = exact(x_t, t)
    again = from_target(table, to_target(table, x0, eps, t, target), x_t, t, target)
    for ours, true in zip(again, (x0, eps), strict=True):
        assert (ours - true).abs().max() < 1e-12
    if target == "velocity":
        assert torch.equal(to_target(table, x0, eps, t, target), eps - x0)


def test_a_velocity_network_walks_as_the_exact_denoiser():
    """100 steps of DDIM on the straight path, from the velocity and from x0: the same points to 1e-12."""
    table = rectified_flow(1000)
    exact = MixtureDenoiser(table, randn(4, 2), torch.tensor([0.2, 0.3, 0.1, 0.4]).double())

    def velocity(x, t):
        x0, eps = exact(x, t)
        return eps - x0

    walk, x = pairs(timesteps(1000, 100)), randn(200, 2, seed=2)
    predict = Denoiser(velocity, table, "velocity")
    ends = [last(sample(p, table, x, walk, clip=False)).x for p in (exact, predict)]
    assert (ends[0] - ends[1]).abs().max() < 1e-12
    assert ends[0].std() > 0.5  # and they went somewhere


def test_which_tables_carry_which_targets():
    for target in ("eps", "score"):
        with pytest.raises(ValueError, match="ends without signal"):
            Denoiser(network, rectified_flow(10), target)
    for target in ("x0", "v", "velocity"):
        Denoiser(network, rectified_flow(10), target)


def test_a_null_may_be_a_tensor_and_other_conditions_stay():
    """Negative words, the empty text, a number: all are `null`; each is guided by its own name."""
    seen = {}

    def predict(x, t, tokens, attributes, image):
        seen.update(tokens=tokens, attributes=attributes, image=image)
        return x, x

    tokens, empty = randn(2, 4, 3), randn(1, 4, 3, seed=1)
    attributes, image = torch.tensor([[1, 2], [3, 4]]), randn(2, 1, seed=2)
    guided = guide(predict, 3.0, tokens=empty, attributes=-1)
    guided(randn(2, 5), 7, tokens=tokens, attributes=attributes, image=image)
    assert torch.equal(seen["tokens"], torch.cat([tokens, empty, empty]))
    assert seen["attributes"].tolist() == [[1, 2], [3, 4], [-1, -1], [-1, -1]]
    assert torch.equal(seen["image"], torch.cat([image, image]))
    guide(predict, 3.0, tokens=empty)(randn(2, 5), 7, tokens=tokens, attributes=attributes, image=image)
    assert seen["attributes"].tolist() == [[1, 2], [3, 4]] * 2  # without a null: left as it is


def test_guidance_says_what_it_misses():
    with pytest.raises(ValueError, match="attributes=-1"):
        guide(network, 2.0)
    with pytest.raises(ValueError, match="null for tokens, but no condition"):
        guide(network, 2.0, tokens=0)(X, T, attributes=T)
    short = guide(lambda x, t, tokens: (x, x), 2.0, tokens=torch.zeros(1, 5, 3))
    with pytest.raises(ValueError, match=r"null of tokens is \(1, 5, 3\), which does not fit \(2, 4, 3\)"):
        short(randn(2, 5), 7, tokens=randn(2, 4, 3))
