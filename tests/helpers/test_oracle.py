"""Whole trajectories against diffusers' schedulers, with our float64 ᾱ injected; our t is theirs + 1.

Each state of a trajectory is compared, relative to its largest number (if that is above 1): DDPM, DDIM and
Heun to 1e-8; Euler and DPM-Solver++(2M), where diffusers rounds to float32, to 1e-5. `pytest -s` prints how
many were compared and the largest difference. With diffusers 0.42 there were 744:

    DDIM 352, 4.2e-13; DDPM 269, 2.0e-10; Heun 19, 2.5e-11; Euler 22, 2.5e-07; 2M 82, 8.5e-07
"""

import itertools
from collections import defaultdict

import pytest
import torch

from helpers import schedules
from helpers.checkpoints import load_denoiser
from helpers.diffusion import Denoiser
from helpers.samplers import pairs, sample
from helpers.schedules import make_schedule
from helpers.solvers import dpm_solver, heun
from tests.helpers.theirs import THEIR_NAMES, inject, randn

SPACINGS = ("leading", "trailing", "linspace")
TABLES = {name: make_schedule(name) for name in ("linear", "scaled_linear", "cosine")}
TABLES["zero_snr"] = schedules.zero_terminal_snr(TABLES["scaled_linear"])
X = randn(3, 8)
WEIGHTS = randn(8, 8, seed=5) / 3
FOUND = defaultdict(list)


@pytest.fixture(scope="module", autouse=True)
def tally():
    yield
    for name, differences in FOUND.items():
        print(f"\n{name}: {len(differences)} trajectories, largest difference {max(differences):.1e}", end="")


def dummy(x, t):
    """A network that depends on all of x and on t, in float64."""
    return torch.tanh(x @ WEIGHTS + (t[:, None] / 300).sin())


def real():
    """The face model in float64, with its table and target."""
    predict = load_denoiser("ddpm-faces")
    predict.network.double()
    predict.network.time.register_forward_pre_hook(lambda module, args: args[0].double())
    return predict


def agree(name, theirs, ours, bound):
    """The largest difference of two lists of states is recorded, and is below the bound."""
    assert len(theirs) == len(ours) > 1
    apart = max(
        float((a - b).abs().max() / max(1.0, float(a.abs().max()))) for a, b in zip(theirs, ours, strict=True)
    )
    FOUND[name].append(apart)
    assert apart < bound, apart


def ddim(table, target, network, x, spacing, count, eta, clip):
    """Their states, ours with the steps they take (t − stride), and the list of their times."""
    from diffusers import DDIMScheduler

    options = dict(clip_sample=clip, prediction_type=THEIR_NAMES[target], timestep_spacing=spacing)
    scheduler = inject(DDIMScheduler(table.steps, **options), table)
    scheduler.set_timesteps(count)
    times, theirs, z, state = scheduler.timesteps.tolist(), [], torch.Generator().manual_seed(1), x
    for t in times:
        answer = network(state, torch.full((len(x),), t + 1))
        move = scheduler.step(answer, t, state, eta=eta, use_clipped_model_output=clip, generator=z)
        state = move.prev_sample
        theirs.append(state)
    walk = [(t + 1, max(t + 1 - table.steps // count, 0)) for t in times]
    g = torch.Generator().manual_seed(1)
    ours = sample(Denoiser(network, table, target), table, x, walk, eta, clip=clip, generator=g)
    return theirs, [state.x for state in ours], times


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name, target", [(n, p) for n in TABLES for p in THEIR_NAMES])
def test_ddim(name, target, eta, clip):
    if name == "zero_snr" and (target == "eps" or eta):
        pytest.skip("ε says nothing at signal 0, and there their variance is √(−1e−17)")
    for spacing, count in itertools.product(SPACINGS, (7, 20)):
        theirs, ours, _ = ddim(TABLES[name], target, dummy, X, spacing, count, eta, clip)
        agree("DDIM", theirs, ours, 1e-8)


def test_ddim_the_whole_way():
    for name in ("linear", "cosine"):
        theirs, ours, _ = ddim(TABLES[name], "v", dummy, X, "leading", 1000, 0.5, False)
        agree("DDIM", theirs, ours, 1e-8)


@pytest.mark.parametrize("spacing, meets", [("leading", (20, 7)), ("trailing", (20,)), ("linspace", ())])
@pytest.mark.parametrize("count", [20, 7])
def test_the_stride_of_diffusers_leaves_the_list(spacing, meets, count):
    """By t − stride their steps do not meet the next entry of their own list where that is uneven."""
    theirs, _, times = ddim(TABLES["linear"], "eps", dummy, X, spacing, count, 0.0, False)
    walk = pairs([*(t + 1 for t in times), 0])
    predict = Denoiser(dummy, TABLES["linear"])
    ours = [state.x for state in sample(predict, TABLES["linear"], X, walk, clip=False)]
    apart = max(float((a - b).abs().max()) for a, b in zip(theirs, ours, strict=True))
    assert apart < 1e-8 if count in meets else apart > 1e-3, apart


def ddpm(table, target, network, x, spacing, count, variance, clip):
    """Their states and ours, with the list of their times."""
    from diffusers import DDPMScheduler

    options = dict(clip_sample=clip, prediction_type=THEIR_NAMES[target], timestep_spacing=spacing)
    scheduler = inject(DDPMScheduler(table.steps, variance_type=f"fixed_{variance}", **options), table)
    scheduler.set_timesteps(count)
    times, theirs, z, state = scheduler.timesteps.tolist(), [], torch.Generator().manual_seed(1), x
    for t in times:
        answer = network(state, torch.full((len(x),), t + 1))
        state = scheduler.step(answer, t, state, generator=z).prev_sample
        theirs.append(state)
    walk, g = pairs([*(t + 1 for t in times), 0]), torch.Generator().manual_seed(1)
    ours = sample(Denoiser(network, table, target), table, x, walk, 1.0, variance, clip, g)
    return theirs, [state.x for state in ours]


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("name, target", [(n, p) for n in TABLES for p in THEIR_NAMES])
def test_ddpm(name, target, variance, clip):
    if (name, target) == ("zero_snr", "eps"):
        pytest.skip("ε says nothing at signal 0")
    for spacing, count in itertools.product(SPACINGS, (7, 20)):
        theirs, ours = ddpm(TABLES[name], target, dummy, X, spacing, count, variance, clip)
        if (spacing, variance) == ("trailing", "large"):  # see the next test
            theirs, ours = theirs[:-1], ours[:-1]
        agree("DDPM", theirs, ours, 1e-8)


def test_ddpm_the_whole_way():
    for name, variance in itertools.product(("linear", "cosine"), ("small", "large")):
        agree("DDPM", *ddpm(TABLES[name], "v", dummy, X, "leading", 1000, variance, False), 1e-8)


def test_the_last_step_of_diffusers_adds_noise():
    """With the spacing 'trailing' their last t is not 0, so their DDPM adds the large noise after it, too."""
    theirs, ours = ddpm(TABLES["linear"], "x0", dummy, X, "trailing", 20, "large", False)
    assert torch.allclose(theirs[-2], ours[-2], atol=1e-8)
    alpha = TABLES["linear"].alphas_cumprod[50]  # their last t is 49
    spread = float((theirs[-1] - ours[-1]).std() / (1 - alpha).sqrt())
    assert 0.6 < spread < 1.5, spread


def in_sigma(scheduler, table, network, x):
    """Their states in our letters: they walk y = x/signal, and show the network y/√(σ² + 1) = x."""
    signal = {t: float(table.signal[t]) for t in range(table.steps + 1)}
    states, now = [], scheduler.timesteps.round().long().tolist()
    assert torch.allclose(scheduler.timesteps, scheduler.timesteps.round()), "our table has whole steps only"
    y = x / signal[now[0] + 1]
    for t, s in zip(scheduler.timesteps, [*(t + 1 for t in now[1:]), 0], strict=True):
        seen = scheduler.scale_model_input(y, t)
        y = scheduler.step(network(seen, torch.full((len(x),), int(t) + 1)), t, y).prev_sample
        states.append(signal[s] * y)
    return states, now


@pytest.mark.parametrize("spacing, count", [("leading", 20), ("trailing", 20), ("linspace", 28)])
@pytest.mark.parametrize("target", THEIR_NAMES)
@pytest.mark.parametrize("name", ["linear", "scaled_linear", "cosine"])
def test_euler(name, target, spacing, count):
    from diffusers import EulerDiscreteScheduler

    if name == "cosine" and spacing != "leading":
        pytest.skip("they round x to float32, and there it begins as 20,000 times the noise")
    check_sigma("Euler", EulerDiscreteScheduler, sample, TABLES[name], target, dummy, X, spacing, count)


@pytest.mark.parametrize("spacing, count", [("leading", 20), ("trailing", 20), ("linspace", 28)])
@pytest.mark.parametrize("target", ["eps", "v"])  # diffusers has no x0 here
@pytest.mark.parametrize("name", ["linear", "scaled_linear", "cosine"])
def test_heun(name, target, spacing, count):
    from diffusers import HeunDiscreteScheduler

    check_sigma("Heun", HeunDiscreteScheduler, heun, TABLES[name], target, dummy, X, spacing, count)


def check_sigma(name, scheduler, solver, table, target, network, x, spacing, count):
    options = dict(prediction_type=THEIR_NAMES[target], timestep_spacing=spacing)
    scheduler = inject(scheduler(table.steps, **options), table)
    scheduler.set_timesteps(count)
    sigma = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt()  # not rounded to float32
    steps = scheduler.timesteps.round().long()
    scheduler.sigmas = torch.cat([sigma[steps], torch.zeros(1, dtype=torch.float64)])
    theirs, now = in_sigma(scheduler, table, network, x)
    if name == "Heun":  # the first half of each step, and the end of it twice; the last step has no half
        theirs, now = theirs[1:-1:2] + theirs[-1:], [now[0], *now[1::2]]
    walk = pairs([*(t + 1 for t in now), 0])
    ours = solver(Denoiser(network, table, target), table, x, walk, clip=False)
    agree(name, theirs, [state.x for state in ours], 1e-8 if name == "Heun" else 1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("target", THEIR_NAMES)
@pytest.mark.parametrize("name", ["linear", "scaled_linear", "cosine"])
def test_dpm_solver(name, target, spacing):
    for count in (7, 20, 50):
        check_2m(TABLES[name], target, dummy, X, spacing, count)


def check_2m(table, target, network, x, spacing, count):
    from diffusers import DPMSolverMultistepScheduler

    options = dict(prediction_type=THEIR_NAMES[target], timestep_spacing=spacing, final_sigmas_type="zero")
    scheduler = DPMSolverMultistepScheduler(table.steps, **options)
    scheduler.lambda_t = table.log_snr[1:] / 2
    inject(scheduler, table).set_timesteps(count)
    state, theirs, now = x, [], scheduler.timesteps.tolist()
    for t in scheduler.timesteps:
        state = scheduler.step(network(state, torch.full((len(x),), int(t) + 1)), t, state).prev_sample
        theirs.append(state)
    walk = pairs([*(t + 1 for t in now), 0])
    ours = dpm_solver(Denoiser(network, table, target), table, x, walk, clip=False)
    agree("2M", theirs, [state.x for state in ours], 1e-5)


def test_the_real_network():
    """One face of the course's model by all of them, in 4 to 6 steps; σ and x in float32 for the solvers."""
    from diffusers import EulerDiscreteScheduler, HeunDiscreteScheduler

    predict = real()
    table, network, x = predict.schedule, predict.network, randn(1, 3, 64, 64)
    with torch.no_grad():
        for eta, clip in ((0.0, False), (0.5, True)):
            theirs, ours, _ = ddim(table, "v", network, x, "trailing", 5, eta, clip)
            agree("DDIM", theirs, ours, 1e-8)
        agree("DDPM", *ddpm(table, "v", network, x, "leading", 5, "small", True), 1e-8)
        check_2m(table, "v", network, x, "leading", 5)
        for name, scheduler, solver in (
            ("Euler", EulerDiscreteScheduler, sample),
            ("Heun", HeunDiscreteScheduler, heun),
        ):
            check_sigma(name, scheduler, solver, table, "v", network, x, "leading", 4)
