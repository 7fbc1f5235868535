"""One step from t to s, and the loop around it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from . import profile
from .arguments import alike, whole
from .diffusion import check_variance, noise_like, step_variance
from .schedules import Schedule
from .targets import eps_from_x0


class State(NamedTuple):
    """What a sampler yields after each step from t to s.

    s: the step where it stands now, 0 at the end. x (B, …): the picture there, still noisy where s > 0.
    x0 (B, …): the clean picture that the denoiser guessed at t, from which this step was made.
    """

    s: int
    x: Tensor
    x0: Tensor


def timesteps(steps: int, count: int, spacing: str = "uniform") -> list[int]:
    """`count` + 1 steps falling from T to 0, the sub-sequence of a sampler (DDIM, appendix D.2).

    spacing: 'uniform' or 'quadratic' (finer near the clean end). Raises ValueError unless 1 ≤ count ≤ T.
    """
    if not 1 <= (count := whole(count, "count", None)) <= (steps := whole(steps, "steps")):
        raise ValueError(f"A schedule of {steps} steps can be walked in 1…{steps} steps, not {count}.")
    if spacing not in ("uniform", "quadratic"):
        raise ValueError(f"There is no spacing '{spacing}'; choose 'uniform' or 'quadratic'.")
    u = torch.linspace(0, 1, count + 1, dtype=torch.float64) ** (2 if spacing == "quadratic" else 1)
    return distinct((u * steps).round().long().tolist(), steps)[::-1]


def distinct(rising: list[int], top: int) -> list[int]:
    """Rising steps, the first of them 0, moved apart where two are the same, none beyond `top`."""
    rising, count = list(rising), len(rising) - 1
    for i in range(1, count + 1):  # rounding must not repeat a step …
        rising[i] = max(rising[i], rising[i - 1] + 1)
    for i in range(count, -1, -1):  # … nor push one beyond the top
        rising[i] = min(rising[i], top - count + i)
    return rising


def pairs(sequence: Iterable[int]) -> list[tuple[int, int]]:
    """Neighbours (t, s) of a list of steps: the next step is the next entry, never a stride."""
    sequence = list(sequence)
    return list(zip(sequence[:-1], sequence[1:], strict=True))


def step(
    schedule: Schedule,
    x0: Tensor,
    eps: Tensor,
    t: Tensor,
    s: Tensor,
    eta: float = 0.0,
    z: Tensor | None = None,
    variance: str = "small",
) -> Tensor:
    """x_s from the x0 and ε of a denoiser at step t (DDIM, eq. 12 and 16); all images (B, …).

    x_s = signal_s · x0 + √(noise_s² − n²) · ε + m · z: of the noise of x_s the part n = η·noise_s·√(1 − r²)
    is drawn anew and the rest kept; r is the correlation of the noise in x_s with that in x_t, m how strong
    the new z is. η = 0: n = m = 0, deterministic, any s ≠ t. η = 1 on
    neighbours is DDPM with σ² = β̃ (m = n); variance='large' keeps that mean and takes m² = β. z is
    required where η > 0 and s > 0. Raises ValueError for η outside [0, 1] or an unknown variance.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"η must lie in [0, 1], not {eta}.")
    check_variance(variance)
    alike(x0=x0, eps=eps, **({} if z is None else {"z": z}))
    if variance == "large" and eta != 1:
        raise ValueError("The large variance belongs to η = 1.")
    (signal_t, noise_t), (signal_s, noise_s) = (schedule.at(k, x0, exact=True) for k in (t, s))
    if eta == 0:
        return signal_s.to(x0) * x0 + noise_s.to(x0) * eps
    if (noise_s >= noise_t).any():
        raise ValueError("A random step must go down, to a smaller s; upwards take η = 0.")
    # r is the correlation of the noise in x_s with that in x_t on the forward path (1 where s = t), so
    # √(1 − r²) of noise_s is what x_t cannot tell: the most that may be drawn anew, at η = 1.
    r = signal_t * noise_s / (signal_s * noise_t)
    n = eta * noise_s * (1 - r**2).sqrt()
    mean = signal_s.to(x0) * x0 + (noise_s**2 - n**2).sqrt().to(x0) * eps
    if (noise_s == 0).all():  # the last step adds no noise
        return mean
    if z is None:
        raise ValueError("A step with η > 0 needs the noise z.")
    m = n if variance == "small" else step_variance(schedule, t, s, x0, "large").sqrt()
    return mean + torch.where(noise_s > 0, m, 0).to(x0) * z


def denoise(
    predict: Callable, schedule: Schedule, x: Tensor, t: int, clip: bool = True, **condition
) -> tuple[Tensor, Tensor]:
    """x0 and ε (B, …) of the denoiser for x at step t; clip keeps x0 in [−1, 1] and derives ε again."""
    alike(x=x)
    times = torch.full((len(x),), t)  # on the CPU, where its range is looked at and no GPU waits for it
    x0, eps = predict(x, times.to(x.device), **condition)
    if clip and t > 0:  # at t = 0 nothing is noise, so there is no ε to derive
        x0 = x0.clamp(-1, 1)
        eps = eps_from_x0(schedule, x, x0, times)
    return x0, eps


def sample(
    predict: Callable,
    schedule: Schedule,
    x: Tensor,
    walk: Iterable[tuple[int, int]],
    eta: float = 0.0,
    variance: str = "small",
    clip: bool = True,
    generator: torch.Generator | None = None,
    **condition,
) -> Iterator[State]:
    """Walks x (B, …) along the (t, s) pairs and yields a State after each (DDPM, algorithm 2; DDIM, eq. 12).

    clip keeps x0 in [−1, 1] and derives ε again from it. The condition goes to `predict` unchanged.
    """
    for t, s in walk:
        with torch.no_grad():
            x0, eps = denoise(predict, schedule, x, t, clip, **condition)
            times, z = torch.full((len(x),), t), None
            if eta > 0 and s > 0:
                z = noise_like(x, generator)
            x = step(schedule, x0, eps, times, times.new_full((len(x),), s), eta, z, variance)
        yield State(s, x, x0)


@torch.no_grad()
def draw(
    predict: Callable,
    schedule: Schedule,
    n: int,
    steps: int,
    seed: int,
    device: str | torch.device = "cpu",
    batch: int = 50,
    side: int = 64,
    eta: float = 0.0,
    **condition,
) -> Tensor:
    """n pictures (n, 3, side, side) in [−1, 1] on the CPU, batch by batch under a progress bar (`sample`).

    `steps` calls of the denoiser on uniform steps; conditions have n rows. The start x_T is the same for
    the same seed on every device.
    """
    from tqdm.auto import tqdm

    n, batch, side, seed = whole(n, "n"), whole(batch, "batch"), whole(side, "side"), whole(seed, "seed", 0)
    generator, walk, parts = torch.Generator().manual_seed(seed), pairs(timesteps(schedule.steps, steps)), []
    for first in tqdm(range(0, n, batch), f"{n} faces, {steps} steps", mininterval=5):
        x = torch.randn(min(batch, n - first), 3, side, side, generator=generator).to(device)
        rows = {k: v[first : first + batch].to(device) for k, v in condition.items()}
        with profile.autocast(device):
            x = x.to(memory_format=torch.channels_last)
            end = last(sample(predict, schedule, x, walk, eta, generator=generator, **rows))
        parts.append(end.x.float().clamp(-1, 1).cpu())
    return torch.cat(parts)


def last(states: Iterable):
    """The last item of an iterator, for those who want the result and not the way."""
    end = deque(states, maxlen=1)
    if not end:
        raise ValueError("There was no step to take: the walk is empty.")
    return end[0]
