"""Two solvers of the probability-flow ODE that need fewer network calls than DDIM, and EDM's steps for them.

With y = x/signal and σ = noise/signal the ODE is dy/dσ = ε (DDIM, eq. 14); DDIM with η = 0 is Euler's step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from .arguments import whole
from .samplers import State, denoise, distinct, step
from .schedules import Schedule
from .targets import eps_from_x0, from_target


def karras(schedule: Schedule, count: int, high: float = 80.0, rho: float = 7.0) -> list[int]:
    """`count` + 1 falling steps, even in σ^(1/ρ), from σ = `high` or the largest there is to 0 (EDM, eq. 5).

    σ = noise/signal; each is the step of the table with the nearest log σ. Beyond `high` one step of DDIM
    will do, from T: [T, *karras(…)]. Raises ValueError unless 1 ≤ count ≤ the steps up to `high`.
    """
    sigma = (schedule.noise / schedule.signal)[1:]  # σ_1 … σ_T, rising; ∞ where there is no signal
    sigma = sigma[sigma <= high]
    if rho <= 0:
        raise ValueError(f"ρ must be above 0, not {rho}.")
    if not 1 <= (count := whole(count, "count", None)) <= len(sigma):
        raise ValueError(f"Up to σ = {high:g} this table has {len(sigma)} steps, so not {count}.")
    ends = sigma[[0, -1]] ** (1 / rho)
    u = torch.linspace(0, 1, count, dtype=torch.float64) if count > 1 else torch.ones(1, dtype=torch.float64)
    wanted = (ends[0] + u * (ends[1] - ends[0])) ** rho
    nearest = (wanted.log()[:, None] - sigma.log()).abs().argmin(1) + 1
    return distinct([0, *nearest.tolist()], len(sigma))[::-1]


def heun(
    predict: Callable,
    schedule: Schedule,
    x: Tensor,
    walk: Iterable[tuple[int, int]],
    clip: bool = True,
    **condition,
) -> Iterator[State]:
    """Walks x (B, …) with the mean of the slopes at both ends of a step, two calls each (EDM, algorithm 1).

    The last step, s = 0, and one that begins without signal, where σ = ∞, are Euler's. Up or down; begin
    where σ is moderate (`karras`): over a step down from a huge σ the mean of the slopes says nothing.
    """
    for t, s in walk:
        with torch.no_grad():
            x0, eps = denoise(predict, schedule, x, t, clip, **condition)
            times, to = (torch.full((len(x),), i) for i in (t, s))
            there = step(schedule, x0, eps, times, to)
            if schedule.noise[s] > 0 and schedule.signal[t] > 0 and schedule.signal[s] > 0:
                mean = (eps + denoise(predict, schedule, there, s, clip, **condition)[1]) / 2
                there = step(schedule, from_target(schedule, mean, x, times, "eps")[0], mean, times, to)
        x = there
        yield State(s, x, x0)


def dpm_solver(
    predict: Callable,
    schedule: Schedule,
    x: Tensor,
    walk: Iterable[tuple[int, int]],
    clip: bool = True,
    **condition,
) -> Iterator[State]:
    """Walks x (B, …) down by DPM-Solver++(2M), one call a step (Lu et al. 2022, 2211.01095, algorithm 2).

    It is DDIM's step with an x0 drawn out over log SNR by the one before; the first and the last (s = 0)
    are DDIM's. Raises ValueError for a step that goes up or does not begin where the last one ended.
    """
    before = last = None
    for t, s in walk:
        if s >= t or (before is not None and t != last[1]):
            raise ValueError(f"DPM-Solver++ walks down without a gap, but here is a step from {t} to {s}.")
        with torch.no_grad():
            x0, eps = denoise(predict, schedule, x, t, clip, **condition)
            times, to = (torch.full((len(x),), i) for i in (t, s))
            ahead = x0
            if before is not None and schedule.noise[s] > 0:
                log_snr = schedule.log_snr
                ratio = float((log_snr[s] - log_snr[t]) / (log_snr[t] - log_snr[last[0]]))  # h / h_before
                ahead = x0 + ratio / 2 * (x0 - before)
                eps = eps_from_x0(schedule, x, ahead, times)
            x = step(schedule, ahead, eps, times, to)
        before, last = x0, (t, s)
        yield State(s, x, x0)
