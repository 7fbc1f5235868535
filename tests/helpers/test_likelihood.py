"""The bound, term by term, against closed forms, integrals and sums."""

import math

import pytest
import torch

from helpers import likelihood
from helpers.diffusion import add_noise, posterior
from helpers.exact import MixtureDenoiser
from helpers.schedules import cosine, from_betas, linear


def test_kl_is_that_of_the_library():
    g = torch.Generator().manual_seed(0)
    m1, m2, v1, v2 = torch.rand(4, 50, generator=g).double() + 0.1
    normal = torch.distributions.Normal
    library = torch.distributions.kl_divergence(normal(m1, v1.sqrt()), normal(m2, v2.sqrt()))
    assert torch.allclose(likelihood.gaussian_kl(m1, v1, m2, v2), library, atol=1e-12)
    assert likelihood.gaussian_kl(m1, v1, m1, v1).abs().max() == 0


@pytest.mark.parametrize("bins", [2, 17, 256])
@pytest.mark.parametrize("mean, std", [(0.0, 0.5), (0.97, 0.01), (-3.0, 0.2), (0.3, 1e-3)])
def test_the_bins_share_all_the_mass(bins, mean, std):
    levels = torch.linspace(-1, 1, bins, dtype=torch.float64)
    logs = likelihood.decoder_log_likelihood(levels, torch.tensor(mean), torch.tensor(std), bins)
    assert torch.isfinite(logs).all()  # also where the mass is far below the smallest float
    assert abs(logs.exp().sum() - 1) < 1e-9


def test_a_bin_is_an_integral():
    levels, mean, std = torch.linspace(-1, 1, 17).double(), 0.2, 0.11
    got = likelihood.decoder_log_likelihood(levels, torch.tensor(mean), torch.tensor(std), 17).exp()
    for k in (1, 8, 9, 10, 15):
        x = torch.linspace(float(levels[k]) - 1 / 16, float(levels[k]) + 1 / 16, 2001).double()
        density = torch.exp(-((x - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
        assert abs(torch.trapezoid(density, x) - got[k]) < 1e-7
    x = torch.linspace(1 - 1 / 16, 3, 20001).double()  # the last bin reaches to infinity
    density = torch.exp(-((x - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
    assert abs(torch.trapezoid(density, x) - got[16]) < 1e-12 + 1e-4 * got[16]


def test_pictures_off_the_levels_are_refused():
    mean, std = torch.zeros(1), torch.ones(1)
    with pytest.raises(ValueError, match="17 levels"):
        likelihood.decoder_log_likelihood(torch.tensor([0.03]), mean, std, 17)
    with pytest.raises(ValueError, match="17 levels"):
        likelihood.decoder_log_likelihood(torch.tensor([1.125]), mean, std, 17)
    with pytest.raises(ValueError, match="at least 2 bins"):
        likelihood.decoder_log_likelihood(torch.tensor([1.0]), mean, std, 1)
    pixels = torch.arange(256).float() / 127.5 - 1  # what a picture of 8 bits becomes
    assert torch.isfinite(likelihood.decoder_log_likelihood(pixels, mean, std)).all()


def test_bits_per_dimension_of_a_uniform_guess():
    assert likelihood.bits_per_dim(12 * math.log(256), 12) == pytest.approx(8)


def test_prior_term_by_hand():
    x0 = torch.tensor([[1.0, -0.5]])
    schedule = from_betas([0.5, 0.5])  # signal² = 0.25, noise² = 0.75
    by_hand = sum(0.5 * (0.75 + 0.25 * v**2 - 1 - math.log(0.75)) for v in (1.0, -0.5))
    assert likelihood.prior_term(schedule, x0).item() == pytest.approx(by_hand, abs=1e-12)


def test_variances_are_those_of_the_paper():
    schedule, t = linear(), torch.tensor([1, 2, 500, 1000])
    assert torch.allclose(likelihood.decoder_variance(schedule, t, "large"), schedule.betas[t])
    small = likelihood.decoder_variance(schedule, t, "small")
    zeros = torch.zeros(4, dtype=torch.float64)
    tilde = posterior(schedule, zeros, zeros, t)[1]
    assert torch.allclose(small[1:], tilde[1:]) and small[0] == small[1]  # β̃_1 = 0 is not used
    with pytest.raises(ValueError, match="no variance 'learned'"):
        likelihood.decoder_variance(schedule, t, "learned")
    with pytest.raises(ValueError, match="t ≥ 1"):
        likelihood.decoder_variance(schedule, torch.tensor([0]))


def test_a_step_is_the_weighted_error_of_the_noise():
    schedule = linear(100)
    g = torch.Generator().manual_seed(0)
    x0, eps, wrong = torch.randn(3, 6, 4, generator=g).double()
    t = torch.tensor([2, 3, 10, 50, 90, 100])
    signal, noise = schedule.at(t, like=x0)

    def predict(x_t, t):
        return (x_t - noise * wrong) / signal, wrong

    a, b = schedule.alphas_cumprod, schedule.betas
    for variance in ("small", "large"):
        got, error = likelihood.step_term(predict, schedule, x0, t, eps, None, variance, clip=False)
        s2 = likelihood.decoder_variance(schedule, t, variance)
        weight = b[t] ** 2 / (2 * s2 * (1 - b[t]) * (1 - a[t]))  # DDPM, eq. 12
        ratio = (1 - a[t - 1]) / (1 - a[t]) * b[t] / s2
        constant = 4 * 0.5 * (ratio - 1 - ratio.log())
        assert torch.allclose(got, weight * (eps - wrong).square().sum(1) + constant)
        x0_error = ((noise / signal) ** 2 * (eps - wrong) ** 2).mean(1)
        assert torch.allclose(error, x0_error)


def test_the_bound_of_gaussian_data_is_exact():
    # x_0 ~ N(0, I): the true step back is N(√α_t x_t, β_t), which is what the model says.
    schedule = cosine(20)
    exact = MixtureDenoiser(schedule, torch.zeros(1, 3).double(), torch.tensor(1.0))
    g = torch.Generator().manual_seed(0)
    x0 = exact.sample(4000, g)
    got = likelihood.bound(
        exact, schedule, x0, likelihood.strata(20, 19), g, bins=None, clip=False, variance="large"
    )
    truth = -exact.log_density(x0, 0)
    error = got.total - truth
    assert abs(error.mean()) < 4 * error.std() / 4000**0.5  # unbiased, and nothing is lost
    small = likelihood.bound(
        exact, schedule, x0, likelihood.strata(20, 19), g, bins=None, variance="small", clip=False
    )
    assert (small.total - truth).mean() > 0.5  # the small variance is wrong for these data


def test_the_bound_lies_above_the_entropy_of_a_mixture():
    schedule = cosine(50)
    means = torch.tensor([[-1.0], [1.0]]).double()
    exact = MixtureDenoiser(schedule, means, torch.tensor(0.1).double())
    g = torch.Generator().manual_seed(1)
    x0 = exact.sample(4000, g)
    got = likelihood.bound(
        exact, schedule, x0, likelihood.strata(50, 49), g, bins=None, variance="large", clip=False
    )
    lost = (got.total + exact.log_density(x0, 0)).mean()
    assert 0.02 < lost < 0.5


def test_l0_is_the_mass_around_the_guess():
    schedule = from_betas([0.01, 0.5])
    x0 = torch.tensor([[0.0, 0.125, -1.0]])
    guess = torch.tensor([[0.02, 0.1, -0.9]])
    got = likelihood.step_term(
        lambda x, t: (guess, x), schedule, x0, torch.tensor([1]), torch.randn(1, 3), 17, "large"
    )[0]
    cdf = torch.distributions.Normal(guess.double(), 0.1).cdf  # β_1 = 0.01
    mass = cdf(x0.double() + 1 / 16) - cdf(x0.double() - 1 / 16)
    mass[0, 2] = cdf(torch.tensor([[-15 / 16] * 3]).double())[0, 2]
    assert got.item() == pytest.approx(-mass.log().sum().item(), rel=1e-6)


def test_clipping_helps_where_the_guess_leaves_the_range():
    schedule = linear(10)
    x0, eps = torch.ones(2, 3), torch.zeros(2, 3)

    def far(x, t):
        return torch.full_like(x, 2.0), x

    t = torch.tensor([2, 5])  # at t = 1 the last bin reaches to infinity, and 2 lies in it
    clipped, error = likelihood.step_term(far, schedule, x0, t, eps)
    free, _ = likelihood.step_term(far, schedule, x0, t, eps, clip=False)
    assert (clipped < free).all() and error.abs().max() == 0


@pytest.mark.parametrize("steps, count", [(1000, 20), (1000, 999), (10, 9), (50, 1), (100, 60)])
def test_strata_cover_every_step_once(steps, count):
    edges = likelihood.strata(steps, count)
    assert edges[0] == 1 and edges[-1] == steps and len(edges) == count + 1
    assert all(a < b for a, b in zip(edges, edges[1:], strict=False))
    with pytest.raises(ValueError, match="pieces"):
        likelihood.strata(steps, steps)


def test_strata_are_unbiased():
    schedule = cosine(40)
    exact = MixtureDenoiser(schedule, torch.zeros(1, 2).double(), torch.tensor(0.3).double())
    x0 = exact.sample(1, torch.Generator().manual_seed(2)).expand(4000, 2)
    options = dict(bins=None, clip=False)
    g = torch.Generator().manual_seed(3)
    fine = likelihood.bound(exact, schedule, x0, likelihood.strata(40, 39), g, **options).total
    coarse = likelihood.bound(exact, schedule, x0, likelihood.strata(40, 6), g, **options)
    assert coarse.steps.shape == (4000, 6) and coarse.rmse.shape == (4000, 7)
    spread = (fine.var() / 4000 + coarse.total.var() / 4000).sqrt()
    assert abs(fine.mean() - coarse.total.mean()) < 4 * spread


def test_noise_is_drawn_from_the_generator():
    schedule = cosine(30)
    exact = MixtureDenoiser(schedule, torch.zeros(1, 2), torch.tensor(0.3))
    x0 = torch.zeros(5, 2)
    runs = [
        likelihood.bound(
            exact, schedule, x0, [1, 5, 30], torch.Generator().manual_seed(s), bins=None, clip=False
        ).total
        for s in (0, 0, 1)
    ]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    x_t = add_noise(schedule, x0, torch.full((5,), 3), torch.ones_like(x0))
    assert torch.isfinite(exact(x_t, torch.tensor(3))[0]).all()
