"""The one step against diffusers, whole chains against closed forms, the walks, the loop."""

import itertools
import math

import pytest
import torch

from helpers import schedules
from helpers.diffusion import Denoiser, add_noise
from helpers.exact import MixtureDenoiser
from helpers.samplers import State, last, pairs, sample, step, timesteps
from helpers.schedules import make_schedule
from helpers.targets import from_target
from tests.helpers.theirs import THEIR_NAMES, inject, randn

T = 60
TABLES = {name: make_schedule(name, T) for name in ("linear", "scaled_linear", "cosine")}
TABLES["zero_snr"] = schedules.zero_terminal_snr(TABLES["scaled_linear"])
CASES = [(n, p) for n in TABLES for p in THEIR_NAMES if (n, p) != ("zero_snr", "eps")]


def ours(table, target, answer, x, t, s, eta, z, variance="small"):
    x0, eps = from_target(table, answer, x, t, target)
    return step(table, x0, eps, t, s, eta, z, variance)


def close(a, b, atol=1e-8):
    return torch.allclose(a, b, rtol=0, atol=atol)


# One step, element by element against diffusers


@pytest.mark.parametrize("sequence", [range(T, -1, -1), [60, 41, 40, 22, 7, 2, 1, 0]], ids=["all", "some"])
@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("name, target", CASES)
def test_step_is_ddpm_of_diffusers(name, target, variance, sequence, monkeypatch):
    from diffusers import DDPMScheduler
    from diffusers.schedulers import scheduling_ddpm

    table, moves = TABLES[name], torch.tensor(pairs(sequence))
    theirs = inject(
        DDPMScheduler(
            T, clip_sample=False, variance_type=f"fixed_{variance}", prediction_type=THEIR_NAMES[target]
        ),
        table,
    )
    theirs.set_timesteps(timesteps=[t - 1 for t, _ in moves.tolist()])
    n = len(moves)
    x, answer, z = randn(n, 3, 2), randn(n, 3, 2, seed=1), randn(n, 3, 2, seed=2)
    got = ours(table, target, answer, x, moves[:, 0], moves[:, 1], 1.0, z, variance)
    for i, t in enumerate(moves[:, 0].tolist()):
        monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *a, i=i, **k: z[i : i + 1])
        wanted = theirs.step(answer[i : i + 1], t - 1, x[i : i + 1]).prev_sample
        assert close(got[i : i + 1], wanted), (t, (got[i] - wanted).abs().max())


@pytest.mark.parametrize("stride", [1, 5])
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name, target", CASES)
def test_step_is_ddim_of_diffusers(name, target, eta, stride):
    from diffusers import DDIMScheduler

    table = TABLES[name]
    theirs = inject(DDIMScheduler(T, clip_sample=False, prediction_type=THEIR_NAMES[target]), table)
    theirs.set_timesteps(T // stride)
    their_times = theirs.timesteps.tolist()
    if stride > 1 and not (name == "zero_snr" and eta == 1):  # there theirs is √(−1e−17) = nan
        their_times.append(T - 1)  # a stride leaves out the noisiest
    n = len(their_times)
    t = torch.tensor(their_times) + 1
    s = (t - stride).clamp(min=0)
    x, answer, z = randn(n, 3, 2), randn(n, 3, 2, seed=1), randn(n, 3, 2, seed=2)
    got = ours(table, target, answer, x, t, s, eta, z)
    for i, their_t in enumerate(their_times):
        wanted = theirs.step(
            answer[i : i + 1], their_t, x[i : i + 1], eta=eta, variance_noise=z[i : i + 1] if eta else None
        ).prev_sample
        assert close(got[i : i + 1], wanted), (their_t, (got[i] - wanted).abs().max())


@pytest.mark.parametrize("t", [1, 2, 500, 999, 1000])
def test_step_at_full_length(t, monkeypatch):
    """The tables of the papers, T = 1000, at both ends and in the middle."""
    from diffusers import DDIMScheduler, DDPMScheduler
    from diffusers.schedulers import scheduling_ddpm

    x, eps, z = randn(1, 4), randn(1, 4, seed=1), randn(1, 4, seed=2)
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *a, **k: z)
    for name in ("linear", "scaled_linear", "cosine"):
        table = make_schedule(name)
        at = (torch.tensor([t]), torch.tensor([t - 1]))
        for variance in ("small", "large"):
            theirs = DDPMScheduler(clip_sample=False, variance_type=f"fixed_{variance}")
            wanted = inject(theirs, table).step(eps, t - 1, x).prev_sample
            got = ours(table, "eps", eps, x, *at, 1.0, z, variance)
            # the last step of a cosine table divides by signal_T = 5e-5: compare digits
            assert torch.allclose(got, wanted, rtol=1e-8, atol=1e-8), (name, variance)
        theirs = inject(DDIMScheduler(clip_sample=False), table)
        theirs.set_timesteps(1000)
        wanted = theirs.step(eps, t - 1, x, eta=0.5, variance_noise=z).prev_sample
        assert torch.allclose(ours(table, "eps", eps, x, *at, 0.5, z), wanted, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("stride", [1, 5])
@pytest.mark.parametrize("name", ["linear", "scaled_linear", "cosine"])
def test_step_up_is_the_inversion_of_diffusers(name, stride):
    from diffusers import DDIMInverseScheduler

    table = TABLES[name]
    theirs = inject(DDIMInverseScheduler(T, clip_sample=False), table)
    theirs.set_timesteps(T // stride)
    for upper in range(stride, T + 1, stride):
        x, eps = randn(1, 3, seed=upper), randn(1, 3, seed=upper + 100)
        lower = torch.tensor([upper - stride])
        wanted = theirs.step(eps, upper - 1, x).prev_sample
        got = ours(table, "eps", eps, x, lower, torch.tensor([upper]), 0.0, None)
        assert close(got, wanted), upper


def test_clipping_is_that_of_diffusers():
    """x0 is clipped, then ε derived again, as `use_clipped_model_output` does."""
    from diffusers import DDIMScheduler

    table = TABLES["cosine"]
    theirs = inject(DDIMScheduler(T, clip_sample=True), table)
    theirs.set_timesteps(T)
    x = 3 * randn(2, 5)
    predict = Denoiser(lambda x, t: 0.5 * x, table)
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    state = next(sample(predict, table, x, [(30, 29)], eta=0.4, generator=torch.Generator().manual_seed(3)))
    wanted = theirs.step(0.5 * x, 29, x, eta=0.4, use_clipped_model_output=True, variance_noise=z)
    assert close(state.x, wanted.prev_sample) and close(state.x0, wanted.pred_original_sample)
    assert state.x0.abs().max() == 1


# What the formula promises by itself

PRECISIONS = {
    "cosine, half": ("cosine", 0.0, torch.float16, 2e-3),
    "linear, bfloat16": ("linear", 0.0, torch.bfloat16, 1e-2),
    "linear shifted by -4 ln 2, single": ("linear", -4 * math.log(2), torch.float32, 1e-6),
    "cosine, single": ("cosine", 0.0, torch.float32, 1e-6),
}


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("name, shift, dtype, error", PRECISIONS.values(), ids=PRECISIONS)
def test_random_steps_in_low_precision(name, shift, dtype, error, variance):
    """Neighbours differ by less than the images' rounding: the coefficients must not suffer."""
    table = make_schedule(name, 1000, shift)
    t = torch.arange(2, 1001)
    zero, one = torch.zeros(999, 1), torch.ones(999, 1)
    for x0, eps, z in ((one, zero, zero), (zero, one, zero), (zero, zero, one)):
        exact = step(table, x0.double(), eps.double(), t, t - 1, 1.0, z.double(), variance)
        low = step(table, x0.to(dtype), eps.to(dtype), t, t - 1, 1.0, z.to(dtype), variance)
        assert low.dtype == dtype
        assert torch.allclose(low.double(), exact, rtol=error, atol=error * 1e-2)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("t, s", [(60, 59), (40, 12), (2, 1), (1, 0), (30, 0)])
@pytest.mark.parametrize("name", [*TABLES, "rectified_flow"])
def test_every_eta_keeps_the_marginals(name, t, s, eta):
    """With the true x0 and ε, x_s has mean signal_s·x0 and variance noise_s² (DDIM, lemma 1)."""
    table = TABLES.get(name) or make_schedule(name, T)
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)

    def part(x0, eps, z):
        return float(step(table, x0, eps, torch.tensor([t]), torch.tensor([s]), eta, z))

    assert part(one, zero, zero) == pytest.approx(float(table.signal[s]), abs=1e-12)
    variance = part(zero, one, zero) ** 2 + part(zero, zero, one) ** 2
    assert variance == pytest.approx(float(table.noise[s]) ** 2, abs=1e-12)
    if s and eta:
        assert part(zero, zero, one) > 0


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("t", [1, 2, 30, 60])
def test_the_last_step_adds_no_noise(t, variance):
    x0, eps = randn(2, 3), randn(2, 3, seed=1)
    at = (torch.tensor([t, t]), torch.tensor([0, 0]))
    table = TABLES["linear"]
    assert torch.equal(step(table, x0, eps, *at, 1.0, 100 * randn(2, 3), variance), x0)
    assert torch.equal(step(table, x0, eps, *at, 1.0, None, variance), x0)


@pytest.mark.parametrize("variance", ["small", "large"])
def test_last_and_other_steps_in_one_batch(variance):
    table, x0, eps, z = TABLES["cosine"], randn(2, 3), randn(2, 3, seed=1), randn(2, 3, seed=2)
    both = step(table, x0, eps, torch.tensor([5, 30]), torch.tensor([0, 20]), 1.0, z, variance)
    alone = step(table, x0[1:], eps[1:], torch.tensor([30]), torch.tensor([20]), 1.0, z[1:], variance)
    assert torch.equal(both[0], x0[0]) and torch.equal(both[1:], alone)


@pytest.mark.parametrize("stride", [1, 7])
@pytest.mark.parametrize(
    "name, constant",
    [("linear", "eps"), ("linear", "x0"), ("cosine", "eps"), ("cosine", "x0"), ("rectified_flow", "x0")],
)
def test_up_and_down_again(name, constant, stride):
    """Where ε, or x0, is the same everywhere, walking up and down again ends where it began."""
    table = TABLES.get(name) or make_schedule(name, T)
    fixed, x = randn(2, 3), randn(2, 3, seed=1)
    predict = Denoiser(lambda x, t: fixed, table, constant)
    low, high = (0, T - 1) if constant == "eps" else (1, T - 1)
    up = [*range(low, high, stride), high]
    top = last(sample(predict, table, x, pairs(up), clip=False)).x
    if constant == "eps":  # x_t = signal·x + noise·ε, in closed form
        assert close(top, add_noise(table, x, torch.tensor([high, high]), fixed), 1e-9)
    back = last(sample(predict, table, top, pairs(up[::-1]), clip=False)).x
    assert close(back, x, 1e-9) and not close(top, x, 1e-2)


def test_upwards_from_the_clean_image_with_clipping():
    """At t = 0 there is no noise to derive again: ε stays what the network said."""
    table, x = TABLES["cosine"], randn(2, 3).clamp(-1, 1)
    predict = Denoiser(lambda x, t: 0.1 * x, table)
    state = next(sample(predict, table, x, [(0, 10)]))
    assert close(state.x, table.signal[10] * x + table.noise[10] * 0.1 * x, 1e-12)


# Whole chains against closed forms


def by_hand(table, walk, mu, std, eta, variance):
    """Mean and variance of x along the walk, for data N(mu, std²) and its exact denoiser; floats."""
    mean, var = 0.0, 1.0
    for t, s in walk:
        a_t, b_t = float(table.signal[t]), float(table.noise[t])
        a_s, b_s = float(table.signal[s]), float(table.noise[s])
        total = a_t**2 * std**2 + b_t**2  # Var x_t, if the data were noised
        gain = a_t * std**2 / total  # x0 = mu + gain·(x − a_t·mu)
        pull = b_t / total  # ε = pull·(x − a_t·mu)
        sigma = eta * b_s / b_t * math.sqrt(1 - (a_t / a_s) ** 2) if b_s else 0.0  # DDIM eq. 16
        if table.name == "rectified flow" and b_s:
            sigma = eta * b_s * math.sqrt(1 - (a_t * b_s / (a_s * b_t)) ** 2)
        slope = a_s * gain + math.sqrt(b_s**2 - sigma**2) * pull
        mean = a_s * mu + slope * (mean - a_t * mu)
        added = sigma**2 if variance == "small" else b_t**2 - (a_t / a_s) ** 2 * b_s**2
        var = slope**2 * var + (added if s else 0.0)
        yield mean, var


@pytest.mark.parametrize("name", ["linear", "cosine", "rectified_flow"])
def test_both_variances_of_ddpm_lead_to_the_data(name):
    """An exact denoiser and many steps: the chain ends with the spread of the data for any table."""
    for variance in ("small", "large"):
        *_, (mean, var) = by_hand(
            make_schedule(name, 1000), pairs(range(1000, -1, -1)), 0.4, 0.3, 1.0, variance
        )
        assert mean == pytest.approx(0.4, abs=0.01) and math.sqrt(var) == pytest.approx(0.3, rel=0.03)


CHAINS = [(0.0, "small"), (0.3, "small"), (1.0, "small"), (1.0, "large")]


@pytest.mark.parametrize("count", [T, 13])
@pytest.mark.parametrize("eta, variance", CHAINS)
@pytest.mark.parametrize("name", ["linear", "cosine", "zero_snr", "rectified_flow"])
def test_gaussian_chain_is_the_closed_form(name, eta, variance, count, monkeypatch):
    """The sampler is linear here, so probes find its exact map: from 0, from 1, one noise at 1."""
    table = TABLES.get(name) or make_schedule(name, T)
    mu, std = 0.4, 0.3
    walk = pairs(timesteps(T, count))
    predict = MixtureDenoiser(
        table, torch.tensor([[mu]], dtype=torch.float64), torch.tensor([std], dtype=torch.float64)
    )
    x = torch.zeros(2 + count, 1, dtype=torch.float64)
    x[1] = 1
    calls = itertools.count()

    def probe(shape, **kwargs):
        z = torch.zeros(shape, dtype=torch.float64)
        z[2 + next(calls)] = 1
        return z

    monkeypatch.setattr(torch, "randn", probe)
    states = list(sample(predict, table, x, walk, eta, variance, clip=False))
    assert [state.s for state in states] == [s for _, s in walk]
    for state, (mean, var) in zip(states, by_hand(table, walk, mu, std, eta, variance), strict=True):
        start, slope, noises = state.x[0], state.x[1] - state.x[0], state.x[2:] - state.x[0]
        assert float(start) == pytest.approx(mean, abs=1e-10)  # x_T has mean 0, variance 1
        assert float(slope**2 + noises.square().sum()) == pytest.approx(var, abs=1e-10)
    assert next(calls) == (count - 1 if eta else 0)  # no noise for the last step


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_gaussian_chain_finds_the_data(eta):
    """With all 1000 steps the discretised chain ends within 2 % of the data's mean and deviation."""
    table = make_schedule("cosine")
    *_, (mean, var) = by_hand(table, pairs(timesteps(1000, 1000)), 0.4, 0.3, eta, "small")
    assert mean == pytest.approx(0.4, abs=0.005) and math.sqrt(var) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("eta, variance", [(0.0, "small"), (1.0, "small"), (1.0, "large")])
def test_mixture_is_recovered(eta, variance):
    """20,000 points: shares within 0.015 (4 standard errors), means within 0.03, spread 15 %."""
    table = make_schedule("cosine", 100)
    means = torch.tensor([[-0.8, 0.0], [0.8, 0.5], [0.3, -0.9]])
    weights = torch.tensor([0.5, 0.3, 0.2])
    predict = MixtureDenoiser(table, means, [0.1, 0.1, 0.1], weights)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 2, generator=generator)
    x = last(
        sample(predict, table, x, pairs(timesteps(100, 100)), eta, variance, clip=False, generator=generator)
    ).x
    owner = torch.cdist(x, means).argmin(1)
    for k in range(3):
        mine = x[owner == k]
        assert len(mine) / 20_000 == pytest.approx(float(weights[k]), abs=0.015)
        assert (mine.mean(0) - means[k]).abs().max() < 0.03
        assert (mine.std(0) - 0.1).abs().max() < 0.015


# The exact denoiser itself

MIX = dict(
    zip(
        ("means", "stds", "weights"),
        torch.tensor([[-1.0, 0.5], [0.2, 0.4], [0.3, 0.7]], dtype=torch.float64),
        strict=True,
    )
)
MIX["means"] = MIX["means"][:, None]


@pytest.mark.parametrize("name, t", [("cosine", 1), ("cosine", 30), ("rectified_flow", 60)])
def test_exact_denoiser_is_bayes_on_a_grid(name, t):
    table = TABLES.get(name) or make_schedule(name, T)
    predict = MixtureDenoiser(table, **MIX)
    grid = torch.linspace(-5, 5, 100_001, dtype=torch.float64)
    normal = torch.distributions.Normal
    prior = 0.3 * normal(-1.0, 0.2).log_prob(grid).exp() + 0.7 * normal(0.5, 0.4).log_prob(grid).exp()
    x = torch.tensor([[-1.2], [0.1], [0.9]], dtype=torch.float64, requires_grad=True)
    times = torch.full((3,), t)
    x0, eps = (answer.detach() for answer in predict(x, times))
    for i in range(3):
        joint = prior * normal(table.signal[t] * grid, table.noise[t]).log_prob(x[i].detach()).exp()
        density = float(joint.sum() * (grid[1] - grid[0]))
        assert float(x0[i]) == pytest.approx(float((joint * grid).sum() / joint.sum()), abs=1e-7)
        assert predict.log_density(x, times)[i].item() == pytest.approx(math.log(density), abs=1e-7)
    assert close(table.signal[t] * x0 + table.noise[t] * eps, x, 1e-12)
    (gradient,) = torch.autograd.grad(predict.log_density(x, times).sum(), x)
    assert close(predict.score(x, times), gradient, 1e-9)


def test_exact_denoiser_draws_its_data():
    points = MixtureDenoiser(TABLES["linear"], **MIX).sample(40_000, torch.Generator().manual_seed(0))
    assert float(points.mean()) == pytest.approx(0.05, abs=0.02)
    left = points[points < -0.55]  # 0.3·Φ(2.25) + 0.7·Φ(−2.625) of all
    assert len(left) / 40_000 == pytest.approx(0.2994, abs=0.01)
    wanted = 0.3 * (1 + 0.04) + 0.7 * (0.25 + 0.16) - 0.05**2
    assert float(points.var()) == pytest.approx(wanted, rel=0.03)


def test_exact_denoiser_takes_plain_numbers_exactly():
    plain = MixtureDenoiser(TABLES["linear"], MIX["means"], [0.2, 0.4], [0.3, 0.7])
    assert torch.equal(plain.stds, MIX["stds"]) and torch.equal(plain.weights, MIX["weights"])


def test_weights_of_a_mixture_add_up_to_1():
    with pytest.raises(ValueError, match="add up to 1, not 0.9"):
        MixtureDenoiser(TABLES["linear"], MIX["means"], MIX["stds"], [0.3, 0.6])


# Walks


@pytest.mark.parametrize("spacing", ["uniform", "quadratic"])
@pytest.mark.parametrize("steps", [1, 50])
def test_timesteps_fall_from_T_to_0(steps, spacing):
    for count in range(1, steps + 1):
        walk = timesteps(steps, count, spacing)
        assert walk[0] == steps and walk[-1] == 0 and len(walk) == count + 1
        assert all(isinstance(t, int) for t in walk)
        assert all(t > s for t, s in pairs(walk)), walk


def test_timesteps_by_value():
    assert timesteps(1000, 4) == [1000, 750, 500, 250, 0]
    assert timesteps(1000, 4, "quadratic") == [1000, 562, 250, 62, 0]
    assert timesteps(10, 10, "quadratic") == list(range(10, -1, -1))
    for t, s in pairs(timesteps(1000, 30)):  # no two steps differ by more than one
        assert t - s in (33, 34)
    assert pairs([9, 4, 0]) == [(9, 4), (4, 0)] and pairs([3]) == []


@pytest.mark.parametrize("count", [0, -1, 51])
def test_more_steps_than_the_table_or_none(count):
    with pytest.raises(ValueError, match=f"1…50 steps, not {count}"):
        timesteps(50, count)


def test_unknown_spacing():
    with pytest.raises(ValueError, match="no spacing 'log'"):
        timesteps(50, 5, "log")


# The loop


def test_the_loop_is_lazy_and_yields_a_state_per_pair():
    seen = []

    def predict(x, t, **condition):
        seen.append((t.tolist(), condition, torch.is_grad_enabled()))
        return 0.1 * x, x

    table, x = TABLES["cosine"], randn(2, 3)
    states = sample(predict, table, x, [(60, 31), (31, 9), (9, 0)], label=7)
    assert seen == []
    first = next(states)
    assert isinstance(first, State) and first.s == 31 and len(seen) == 1
    assert [state.s for state in states] == [9, 0]
    assert seen == [([t, t], {"label": 7}, False) for t in (60, 31, 9)]


@pytest.mark.parametrize("eta, variance", [(0.5, "small"), (1.0, "large")])
def test_the_loop_is_the_step_with_noise_of_the_generator(eta, variance):
    table, x = TABLES["cosine"], randn(2, 3)
    predict = Denoiser(lambda x, t: 0.3 * x, table, "v")
    got = list(
        sample(
            predict,
            table,
            x,
            [(60, 20), (20, 0)],
            eta,
            variance,
            clip=False,
            generator=torch.Generator().manual_seed(1),
        )
    )
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    for (t, s), noise, state in zip([(60, 20), (20, 0)], [z, None], got, strict=True):
        x0, eps = predict(x, torch.tensor([t, t]))
        x = step(table, x0, eps, torch.tensor([t, t]), torch.tensor([s, s]), eta, noise, variance)
        assert torch.equal(state.x, x) and torch.equal(state.x0, x0)


def test_an_empty_walk():
    predict = Denoiser(lambda x, t: x, TABLES["linear"])
    with pytest.raises(ValueError, match="the walk is empty"):
        last(sample(predict, TABLES["linear"], randn(1, 2), []))
    assert last(iter([1, 2, 3])) == 3


BAD_STEPS = {
    "eta above 1": (dict(eta=1.1), 5, 4, "η must lie in"),
    "eta below 0": (dict(eta=-0.1), 5, 4, "η must lie in"),
    "unknown variance": (dict(variance="medium"), 5, 4, "no variance 'medium'"),
    "large without η = 1": (dict(eta=0.5, variance="large"), 5, 4, "belongs to η = 1"),
    "random and upwards": (dict(eta=0.5), 4, 5, "must go down"),
    "random and standing": (dict(eta=1.0), 4, 4, "must go down"),
    "no noise given": (dict(eta=1.0), 5, 4, "needs the noise z"),
    "beyond T": (dict(), 61, 4, "0…60"),
    "below 0": (dict(), 5, -1, "0…60"),
}


@pytest.mark.parametrize("options, t, s, message", BAD_STEPS.values(), ids=BAD_STEPS)
def test_bad_steps(options, t, s, message):
    x = randn(1, 2)
    with pytest.raises(ValueError, match=message):
        step(TABLES["linear"], x, x, torch.tensor([t]), torch.tensor([s]), **options)
