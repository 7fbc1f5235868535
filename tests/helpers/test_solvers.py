"""Heun and DPM-Solver++(2M) against closed forms: the exact end, orders of convergence, walks, errors."""

import math

import pytest
import torch

from helpers import schedules
from helpers.diffusion import Denoiser
from helpers.exact import MixtureDenoiser
from helpers.samplers import last, pairs, sample, timesteps
from helpers.schedules import make_schedule
from helpers.solvers import dpm_solver, heun, karras

MU, STD = 0.4, 0.3
X = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]


def gaussian(table, mu=MU, std=STD):
    return MixtureDenoiser(table, torch.tensor([[mu]], dtype=torch.float64), [std])


def flow(table, x, t, s, mu=MU, std=STD):
    """Where the ODE takes x from t to s if the data are N(mu, std²): it stretches what is off the mean."""
    (a_t, b_t), (a_s, b_s) = ((float(table.signal[i]), float(table.noise[i])) for i in (t, s))
    stretch = math.sqrt((a_s**2 * std**2 + b_s**2) / (a_t**2 * std**2 + b_t**2))
    return a_s * mu + stretch * (x - a_t * mu)


def euler_in_sigma(predict, table, x, walk):
    """k-diffusion's form: y = x/signal, dy = ε dσ."""
    for t, s in walk:
        _, eps = predict(x, torch.full((len(x),), t))
        sigma_t, sigma_s = (float(table.noise[i] / table.signal[i]) for i in (t, s))
        x = float(table.signal[s]) * (x / float(table.signal[t]) + (sigma_s - sigma_t) * eps)
    return x


@pytest.mark.parametrize("name", ["linear", "cosine", "scaled_linear"])
def test_ddim_is_euler_in_sigma(name):
    table = make_schedule(name, 200)
    predict = MixtureDenoiser(table, torch.tensor([[-1.0], [0.5]]).double(), [0.2, 0.4], [0.3, 0.7])
    for count in (7, 200):
        walk = pairs(timesteps(200, count))
        ddim = last(sample(predict, table, X, walk, clip=False)).x
        assert torch.allclose(ddim, euler_in_sigma(predict, table, X, walk), rtol=1e-9, atol=1e-9)


SOLVERS = {
    "Euler": (lambda *a: sample(*a, clip=False), 1),
    "Heun": (lambda *a: heun(*a, clip=False), 2),
    "2M": (lambda *a: dpm_solver(*a, clip=False), 2),
}


def error(table, solve, walk):
    end = last(solve(gaussian(table), table, X, walk)).x
    return float((end - flow(table, X, walk[0][0], walk[-1][1])).abs().max())


@pytest.mark.parametrize("name", ["linear", "cosine", "rectified_flow"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_order_of_convergence(solver, name):
    """Between σ = 10 and 0.05, steps even in log σ: half the steps make the error 2^order times as large."""
    table = make_schedule(name, 100_000)
    log_sigma = (table.noise / table.signal).log()[1:]

    def walk(count):
        wanted = torch.linspace(math.log(10), math.log(0.05), count + 1, dtype=torch.float64)
        return pairs((torch.searchsorted(log_sigma, wanted) + 1).tolist())

    solve, order = SOLVERS[solver]
    errors = [error(table, solve, walk(count)) for count in (32, 64, 128)]
    measured = [math.log2(a / b) for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert all(m == pytest.approx(order, abs=0.2) for m in measured), (measured, errors)


@pytest.mark.parametrize("name", ["linear", "cosine", "rectified_flow"])
def test_with_as_many_calls_on_steps_of_edm(name):
    """2M beats Euler from 10 calls on. Heun needs small steps: it loses with 20 calls and wins with 80."""
    table = make_schedule(name)
    found = {
        (solver, calls): error(table, solve, pairs(karras(table, calls // (2 if solver == "Heun" else 1))))
        for solver, (solve, _) in SOLVERS.items()
        for calls in (10, 20, 80)
    }
    for calls in (10, 20, 80):
        assert found["2M", calls] < found["Euler", calls] / 1.5
    assert found["Heun", 20] > found["Euler", 20] and found["Heun", 80] < found["Euler", 80] / 2


@pytest.mark.parametrize("solver", [heun, dpm_solver])
@pytest.mark.parametrize("name", ["rectified_flow", "zero_snr"])
def test_from_pure_noise(solver, name):
    """At signal_T = 0 σ is infinite: the first step is DDIM's, and the end is finite and near the data."""
    table = schedules.zero_terminal_snr(schedules.linear()) if name == "zero_snr" else make_schedule(name)
    predict, walk = gaussian(table), pairs(timesteps(1000, 50))
    states = list(solver(predict, table, X, walk, clip=False))
    first = next(sample(predict, table, X, walk[:1], clip=False))
    assert torch.equal(states[0].x, first.x)
    assert (states[-1].x - (MU + STD * X)).abs().max() < 0.05


def test_one_step_by_hand():
    """Data N(0, 1) where signal² + noise² = 1: ε = noise·x, and two steps by the papers' own formulas."""
    table = schedules.from_alphas_cumprod(torch.tensor([0.9, 0.5, 0.1]))
    predict, x = gaussian(table, 0.0, 1.0), torch.tensor([[2.0]], dtype=torch.float64)
    a, b = table.signal, table.noise
    y, sigma = 2.0 / a[3], b / a  # EDM, algorithm 1: y = x / a, slope ε
    slope = b[3] * 2.0
    guess = y + (sigma[2] - sigma[3]) * slope
    other = b[2] * (a[2] * guess)
    wanted = a[2] * (y + (sigma[2] - sigma[3]) * (slope + other) / 2)
    states = list(heun(predict, table, x, [(3, 2), (2, 0)], clip=False))
    assert states[0].x.item() == pytest.approx(float(wanted), abs=1e-12)
    assert states[1].x.item() == pytest.approx(float(a[2] * wanted), abs=1e-12)  # the last step is x0

    lam = (a / b).log()  # DPM-Solver++, algorithm 2, in its own letters
    x0, h1, h2 = a[3] * 2.0, lam[2] - lam[3], lam[1] - lam[2]
    x2 = b[2] / b[3] * 2.0 - a[2] * (torch.exp(-h1) - 1) * x0
    r = h1 / h2
    d = (1 + 1 / (2 * r)) * (a[2] * x2) - 1 / (2 * r) * x0
    x1 = b[1] / b[2] * x2 - a[1] * (torch.exp(-h2) - 1) * d
    states = list(dpm_solver(predict, table, x, [(3, 2), (2, 1), (1, 0)], clip=False))
    assert [float(s.x) for s in states] == pytest.approx([float(x2), float(x1), float(a[1] * x1)], abs=1e-12)


def test_heun_up_and_down_again():
    """Inversion: Heun comes back nearer to where it began than DDIM with as many calls."""
    table = make_schedule("cosine")
    predict, x = gaussian(table), MU + STD * X
    apart = {}
    for name, solve, count in (("DDIM", sample, 20), ("Heun", heun, 10)):
        way = karras(table, count)
        top = last(solve(predict, table, x, pairs(way[::-1]), clip=False)).x
        back = last(solve(predict, table, top, pairs(way), clip=False)).x
        apart[name] = float((back - x).abs().max())
    assert apart["Heun"] < apart["DDIM"] / 3 and apart["Heun"] > 0


def test_calls_states_condition_and_clipping():
    table, calls = make_schedule("cosine", 100), []

    def predict(x, t, **condition):
        calls.append((int(t[0]), condition, torch.is_grad_enabled()))
        return 3 * torch.ones_like(x), x

    walk = pairs([60, 30, 10, 0])
    for solve, wanted in ((heun, [60, 30, 30, 10, 10]), (dpm_solver, [60, 30, 10])):
        calls.clear()
        states = list(solve(predict, table, X, walk, label=7))
        assert [t for t, *_ in calls] == wanted and [s.s for s in states] == [30, 10, 0]
        assert all(c == {"label": 7} and not grad for _, c, grad in calls)
        assert all(torch.equal(s.x0, torch.ones_like(X)) for s in states)  # 3, clipped
        assert torch.equal(states[-1].x, torch.ones_like(X))
    assert float(next(heun(predict, table, X, walk, clip=False)).x0[0]) == 3


def test_steps_of_edm():
    table = make_schedule("linear")
    sigma = table.noise / table.signal
    way = karras(table, 18)
    assert way[-1] == 0 and len(way) == 19 and sigma[way[0]] <= 80 < sigma[way[0] + 1] and way[-2] == 1
    roots = sigma[way[:-1]] ** (1 / 7)  # even but for rounding to the table
    gaps = roots[:-1] - roots[1:]
    assert gaps.max() / gaps.min() < 1.5
    assert karras(table, 1, high=5.0)[0] == int((sigma <= 5).sum()) - 1
    for count in (1, 2, 7, 300, 900):
        way = karras(table, count)
        assert len(way) == count + 1 and all(t > s for t, s in pairs(way)), way
    assert karras(make_schedule("rectified_flow"), 10)[0] == 987  # σ = 987/13 = 75.9; 988/12 = 82.3
    with pytest.raises(ValueError, match="so not 901"):
        karras(make_schedule("linear", 900), 901)
    with pytest.raises(ValueError, match="has 0 steps, so not 3"):
        karras(table, 3, high=1e-3)


@pytest.mark.parametrize("walk", [[(10, 20)], [(30, 20), (10, 0)]], ids=["up", "gap"])
def test_walks_that_2m_cannot_take(walk):
    table = make_schedule("cosine", 60)
    predict = Denoiser(lambda x, t: 0.3 * x, table, "v")
    with pytest.raises(ValueError, match="walks down without a gap, but here is a step from 10"):
        last(dpm_solver(predict, table, X, walk))
