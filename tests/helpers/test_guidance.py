"""Guidance against what is known exactly: Bayes on mixtures, the published slip, what mends large scales."""

import math

import pytest
import torch

from helpers.classifier import NoisyClassifier, log_prob
from helpers.exact import MixtureDenoiser
from helpers.guidance import classifier_guide, guide, project, rescale
from helpers.schedules import cosine
from helpers.targets import eps_from_x0

TABLE = cosine()
CATS = torch.tensor([[-1.2, 0.9], [0.0, 0.5], [1.2, 0.9]]).double()
DOGS = CATS * torch.tensor([1.0, -1.0])
CAT, ANY = MixtureDenoiser(TABLE, CATS, 0.45), MixtureDenoiser(TABLE, torch.cat([CATS, DOGS]), 0.45)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, T = 1.5 * randn(40, 2), torch.randint(50, 1001, (40,), generator=torch.Generator().manual_seed(1))


def log_cat(x, t, y):
    return CAT.log_density(x, t) + math.log(0.5) - ANY.log_density(x, t)


def test_a_classifier_with_scale_1_makes_the_conditional_of_the_unconditional():
    """Bayes: ∇ log q(x_t given y) = ∇ log q(x_t) + ∇ log p(y given x_t), at any t."""
    x0, eps = classifier_guide(ANY, TABLE, log_cat, 1.0)(X, T, attributes=True)
    wanted_x0, wanted_eps = CAT(X, T)
    torch.testing.assert_close(eps, wanted_eps, atol=1e-6, rtol=1e-5)
    inside = T < 990  # beyond, signal_t is so small that x0 has no digits
    torch.testing.assert_close(x0[inside], wanted_x0[inside], atol=1e-4, rtol=1e-3)


def test_both_kinds_of_guidance_agree_where_the_classifier_is_the_implicit_one():
    both = {True: CAT, False: ANY}

    def predict(x, t, attributes):
        parts = [both[bool(a > 0)](x[i : i + 1], t[i : i + 1]) for i, a in enumerate(attributes)]
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))

    free = guide(predict, 3.0, attributes=-1)(X, T, attributes=torch.ones(40))
    led = classifier_guide(ANY, TABLE, log_cat, 3.0)(X, T, attributes=True)
    torch.testing.assert_close(free[1], led[1], atol=1e-6, rtol=1e-5)


def told(x, t, attributes, **_):
    """x0 = attributes in every channel, so that what guidance makes of each channel is seen."""
    x0 = attributes[:, :, None, None].double().expand(-1, -1, 3, 5)
    return x0, eps_from_x0(TABLE, x, x0, t)


def test_all_channels_are_guided_also_the_fourth():
    """The published slip, copied into four projects, guides three of four channels."""
    x, t, wanted = randn(2, 4, 3, 5), torch.tensor([300, 700]), torch.tensor([[2, 3, 4, 5], [1, 1, 1, 1]])
    x0, eps = guide(told, 3.0, attributes=-1)(x, t, attributes=wanted)
    torch.testing.assert_close(x0[:, :, 0, 0], 3.0 * wanted.double() - 2.0 * -1)
    torch.testing.assert_close(eps, eps_from_x0(TABLE, x, x0, t))


def test_outside_the_interval_the_condition_is_followed_in_one_call():
    calls = []

    def predict(x, t, attributes):
        calls.append(len(x))
        return told(x, t, attributes)

    x, wanted = randn(2, 4, 3, 5), torch.full((2, 4), 2)
    guided = guide(predict, 3.0, interval=(200, 700), attributes=-1)
    for t, value in ((199, 2.0), (200, 8.0), (700, 8.0), (701, 2.0)):
        x0 = guided(x, torch.full((2,), t), attributes=wanted)[0]
        torch.testing.assert_close(x0, torch.full_like(x0, value))
    assert calls == [2, 4, 4, 2]


def test_a_worse_model_stands_in_the_place_of_the_null_and_hears_the_wish():
    def worse(x, t, attributes):
        x0, eps = told(x, t, attributes)
        return x0 - 0.5, eps_from_x0(TABLE, x, x0 - 0.5, t)

    x, t, wanted = randn(2, 4, 3, 5), torch.tensor([300, 700]), torch.full((2, 4), 2)
    x0, eps = guide(told, 3.0, worse=worse)(x, t, attributes=wanted)
    torch.testing.assert_close(x0, torch.full_like(x0, 1.5 + 3 * 0.5))
    opened = guide(told, 3.0, worse=worse, attributes=-1)(x, t, attributes=wanted)[0]
    torch.testing.assert_close(opened, torch.full_like(x0, -1.5 + 3 * 3.5))
    torch.testing.assert_close(eps, eps_from_x0(TABLE, x, x0, t))


def test_rescaled_has_the_spread_of_the_conditional():
    x_t, good, bad = (randn(2, 3, 4, 5, seed=i) for i in range(3))
    t = torch.tensor([300, 700])
    for share in (1.0, 0.0, 0.7):
        x0, eps = rescale(TABLE, share)(x_t, t, good, bad, 5.0)
        plain = bad + 5 * (good - bad)
        stds = [v.flatten(1).std(1) for v in (x0, good, plain)]
        torch.testing.assert_close(stds[0], share * stds[1] + (1 - share) * stds[2])
        torch.testing.assert_close(eps, eps_from_x0(TABLE, x_t, x0, t))


def test_projected_adds_nothing_along_the_conditional_and_keeps_the_rest():
    x_t, good, bad = (randn(2, 3, 4, 5, seed=i) for i in range(3))
    t = torch.tensor([300, 700])
    x0, _ = project(TABLE)(x_t, t, good, bad, 5.0)
    added = (x0 - good).flatten(1)
    torch.testing.assert_close((added * good.flatten(1)).sum(1), torch.zeros(2).double(), atol=1e-9, rtol=0)
    whole, _ = project(TABLE, keep=1.0)(x_t, t, good, bad, 5.0)
    torch.testing.assert_close(whole, bad + 5 * (good - bad))  # all of it kept: plain guidance
    short, _ = project(TABLE, keep=1.0, radius=0.5)(x_t, t, good, bad, 5.0)
    torch.testing.assert_close((short - good).flatten(1).norm(dim=1), torch.full((2,), 2.0).double())


def test_the_classifier_says_the_sum_of_the_logarithms_of_what_is_asked():
    torch.manual_seed(0)
    network = NoisyClassifier((2, 3, 4), widths=(8, 16))
    for parameter in network.parameters():  # it begins with branches that are 0
        torch.nn.init.normal_(parameter, std=0.1)
    x, t = randn(3, 3, 16, 16).float(), torch.tensor([1, 500, 1000])
    logs = [logits.log_softmax(1) for logits in network(x, t)]
    wanted = torch.tensor([[1, -1, 3], [-1, -1, -1], [0, 2, 0]])
    by_hand = torch.stack([logs[0][0, 1] + logs[2][0, 3], torch.zeros(()), logs[0][2, 0] + logs[1][2, 2]])
    by_hand[2] += logs[2][2, 0]
    torch.testing.assert_close(log_prob(network)(x, t, wanted), by_hand)
    assert not torch.equal(network(x, t)[0], network(x, t.flip(0))[0])  # it knows t


def test_what_cannot_be_guided_is_told_why():
    with pytest.raises(ValueError, match="give attributes"):
        classifier_guide(ANY, TABLE, log_cat, 1.0)(X, T)
    with pytest.raises(ValueError, match="what an open condition is"):
        guide(ANY, 2.0)
