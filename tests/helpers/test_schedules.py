"""The noise tables: against iterated single steps, plain formulas, and diffusers."""

import math

import pytest
import torch

from helpers import schedules
from helpers.schedules import Schedule, make_schedule

PRESERVING = ("linear", "scaled_linear", "cosine")


def beta(name, t, steps):
    """β_t as the papers write it, in plain Python: nothing here is shared with the helper."""
    u = (t - 1) / (steps - 1)
    if name == "linear":
        return 1e-4 + u * (0.02 - 1e-4)
    if name == "scaled_linear":
        return (math.sqrt(0.00085) + u * (math.sqrt(0.012) - math.sqrt(0.00085))) ** 2

    def f(t):
        return math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    return min(1 - f(t) / f(t - 1), 0.999)


@pytest.mark.parametrize("steps", [1000, 37])
@pytest.mark.parametrize("name", PRESERVING)
def test_closed_form_is_the_iterated_step(name, steps):
    """x_t = √(1−β)·x_{t−1} + √β·ε, mean and variance carried step by step from x_0."""
    table = make_schedule(name, steps)
    mean, variance = 1.0, 0.0
    for t in range(1, steps + 1):
        b = beta(name, t, steps)
        mean, variance = math.sqrt(1 - b) * mean, (1 - b) * variance + b
        assert float(table.signal[t]) == pytest.approx(mean, rel=1e-10)
        assert float(table.noise[t]) ** 2 == pytest.approx(variance, rel=1e-10)
        assert float(table.betas[t]) == pytest.approx(b, rel=1e-8)
        assert float(table.alphas_cumprod[t]) == pytest.approx(mean**2, rel=1e-10)


@pytest.mark.parametrize("name", PRESERVING)
def test_tables_are_those_of_diffusers(name):
    from diffusers import DDPMScheduler

    theirs = {
        "linear": DDPMScheduler(beta_schedule="linear", beta_start=1e-4, beta_end=0.02),
        "scaled_linear": DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
        "cosine": DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
    }[name]
    table = make_schedule(name)
    assert (table.betas[1:] - theirs.betas).abs().max() < 1e-6
    assert (table.alphas_cumprod[1:] - theirs.alphas_cumprod).abs().max() < 2e-6


@pytest.mark.parametrize("steps", [1, 2, 50])
@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_index_0_is_clean_and_noise_grows(name, steps):
    table = make_schedule(name, steps)
    assert table.steps == steps and table.signal.shape == table.noise.shape == (steps + 1,)
    assert table.signal.dtype == table.noise.dtype == torch.float64
    assert float(table.signal[0]) == 1 and float(table.noise[0]) == 0
    assert table.log_snr[0] == math.inf
    assert (table.signal.diff() < 0).all() and (table.noise.diff() > 0).all()
    if name in PRESERVING:
        assert float(table.betas[0]) == 0 and float(table.alphas_cumprod[0]) == 1


def test_rectified_flow_is_the_straight_path():
    table = make_schedule("rectified_flow", 40)
    for t in range(41):
        assert float(table.noise[t]) == pytest.approx(t / 40, abs=1e-15)
        assert float(table.signal[t]) == pytest.approx(1 - t / 40, abs=1e-15)
    assert float(table.log_snr[10]) == pytest.approx(2 * math.log(3))
    assert not table.variance_preserving and make_schedule("cosine").variance_preserving


@pytest.mark.parametrize("name", ["betas", "alphas_cumprod"])
def test_rectified_flow_has_no_betas(name):
    with pytest.raises(AttributeError, match="does not preserve variance"):
        getattr(make_schedule("rectified_flow"), name)


@pytest.mark.parametrize("by", [-2 * math.log(2), -4 * math.log(2), 1.5])
@pytest.mark.parametrize("name", PRESERVING)
def test_shift_moves_the_log_snr_exactly(name, by):
    table = make_schedule(name)
    shifted = make_schedule(name, log_snr_shift=by)
    snr = [float(a / (1 - a)) for a in table.alphas_cumprod[1:]]
    wanted = torch.tensor([math.log(x) + by for x in snr], dtype=torch.float64)
    assert torch.allclose(shifted.log_snr[1:], wanted, rtol=0, atol=1e-9)
    assert shifted.variance_preserving and float(shifted.signal[0]) == 1
    back = schedules.shift(shifted, -by)
    assert torch.allclose(back.signal, table.signal, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PRESERVING)
def test_zero_terminal_snr_is_that_of_diffusers(name):
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    table = make_schedule(name)
    ours = schedules.zero_terminal_snr(table)
    assert float(ours.signal[-1]) == 0 and float(ours.noise[-1]) == 1
    assert float(ours.signal[1]) == pytest.approx(float(table.signal[1]), abs=1e-14)
    theirs = rescale_zero_terminal_snr(table.betas[1:])
    assert (ours.betas[1:] - theirs).abs().max() < 1e-10


def test_at_picks_one_entry_per_image():
    table = make_schedule("linear", 10)
    like = torch.zeros(3, 2, 4, 4)
    signal, noise = table.at(torch.tensor([0, 10, 3]), like)
    assert signal.shape == noise.shape == (3, 1, 1, 1) and signal.dtype == torch.float32
    assert torch.equal(signal.flatten(), table.signal[[0, 10, 3]].float())
    assert torch.equal(noise.flatten(), table.noise[[0, 10, 3]].float())


@pytest.mark.parametrize("steps", [0, -3])
@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_steps_below_1(name, steps):
    with pytest.raises(ValueError, match=f"steps must be at least 1, not {steps}"):
        make_schedule(name, steps)


def test_unknown_schedule():
    with pytest.raises(ValueError, match="no schedule 'quadratic'.*linear.*rectified_flow"):
        make_schedule("quadratic")


@pytest.mark.parametrize("betas", [[], [0.0, 0.1], [0.1, 1.2], [-0.1], [[0.1, 0.2]]])
def test_bad_betas(betas):
    with pytest.raises(ValueError, match="betas"):
        schedules.from_betas(torch.tensor(betas, dtype=torch.float64))


@pytest.mark.parametrize("alphas", [[], [1.0, 0.5], [0.5, 0.6], [0.5, -0.1], [float("nan")], [[0.9, 0.5]]])
def test_bad_alphas(alphas):
    with pytest.raises(ValueError, match="never rises"):
        schedules.from_alphas_cumprod(torch.tensor(alphas, dtype=torch.float64))


def test_zero_terminal_snr_of_one_step():
    with pytest.raises(ValueError, match="at least 2 steps"):
        schedules.zero_terminal_snr(make_schedule("linear", 1))


@pytest.mark.parametrize("signal, noise", [([0.99, 0.5], [0.0, 0.8]), ([1.0, 0.5], [0.1, 0.8])])
def test_a_table_must_begin_clean(signal, noise):
    with pytest.raises(ValueError, match="Index 0"):
        Schedule("mine", torch.tensor(signal), torch.tensor(noise))
