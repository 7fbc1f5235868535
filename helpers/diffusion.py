"""The forward process, its posterior, and the one seam between networks and samplers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .arguments import alike, check_floats, check_hole
from .schedules import Schedule, check_t
from .targets import determinant, from_target, to_target


def add_noise(schedule: Schedule, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """x_t = signal_t · x_0 + noise_t · ε (DDPM, eq. 4); x0 and eps (B, …), t (B,) in 0…T."""
    alike(x0=x0, eps=eps)
    signal, noise = schedule.at(t, like=x0)
    return signal * x0 + noise * eps


def noise_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard Gaussian noise of the shape of x, drawn on the generator's device and brought to that of x."""
    device = x.device if generator is None else generator.device
    return torch.randn(x.shape, generator=generator, device=device, dtype=x.dtype).to(x.device)


def transition(schedule: Schedule, t: Tensor, s: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and variance of q(x_t given x_s), s < t; for neighbours √α_t and β_t (DDPM, eq. 2).

    Both (B, 1, …, 1) in float64; the variance is noise_t² − factor² · noise_s² for any table.
    """
    (signal_t, noise_t), (signal_s, noise_s) = (schedule.at(k, like, exact=True) for k in (t, s))
    factor = signal_t / signal_s
    return factor, noise_t**2 - factor**2 * noise_s**2


def check_variance(variance: str) -> None:
    """ValueError unless `variance` is 'small' or 'large'."""
    if variance not in ("small", "large"):
        raise ValueError(f"There is no variance '{variance}'; choose 'small' (β̃) or 'large' (β).")


def step_variance(schedule: Schedule, t: Tensor, s: Tensor, like: Tensor, variance: str = "small") -> Tensor:
    """σ² of DDPM's step from t down to s, (B, 1, …, 1) in float64 (DDPM, section 3.2).

    'large': the variance β of q(x_t given x_s). 'small': β̃ = β · noise_s²/noise_t², that of the posterior,
    0 where s = 0. This is the one place where the two are defined. Raises ValueError for another name.
    """
    check_variance(variance)
    beta = transition(schedule, t, s, like)[1]
    if variance == "large":
        return beta
    return beta * (schedule.at(s, like, exact=True)[1] / schedule.at(t, like, exact=True)[1]) ** 2


def posterior(schedule: Schedule, x0: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, …) and variance (B, 1, …, 1) of q(x_{t−1} given x_t, x_0), t in 1…T (DDPM, eq. 6, 7)."""
    alike(x0=x0, x_t=x_t)
    t = check_t(t, schedule.steps, len(x_t))
    if (t < 1).any():
        raise ValueError("The posterior of step t needs t ≥ 1: there is nothing before the clean image.")
    (_, noise_t), (signal_s, noise_s) = (schedule.at(k, x_t, exact=True) for k in (t, t - 1))
    factor, beta = transition(schedule, t, t - 1, x_t)
    old, new = (signal_s * beta / noise_t**2).to(x_t), (factor * noise_s**2 / noise_t**2).to(x_t)
    return old * x0 + new * x_t, step_variance(schedule, t, t - 1, x_t).to(x_t)


class Denoiser:
    """A network behind the course's one seam: `predict(x_t, t, **condition) -> (x0, eps)`.

    x_t = signal_t · x0 + noise_t · eps holds for every answer, and for that of whatever wraps a denoiser.
    network(x_t, t, **condition) answers in the given target. Raises ValueError for a target that the
    schedule cannot carry (ε or score where signal_T = 0).
    """

    def __init__(self, network: Callable, schedule: Schedule, target: str = "eps"):
        if (determinant(target, schedule.signal[1:], schedule.noise[1:]) == 0).any():
            raise ValueError(
                f"'{schedule.name}' ends without signal, where ε says nothing about x0: "
                "predict x0 or v instead."
            )
        self.network, self.schedule, self.target = network, schedule, target

    def answer(self, x_t: Tensor, t: Tensor, **condition) -> Tensor:
        """The network's own answer; ValueError where its shape is not that of x_t (it would be stretched)."""
        answer = self.network(x_t, t, **condition)
        if answer.shape != x_t.shape:
            raise ValueError(
                f"The network answered {tuple(answer.shape)} to x_t {tuple(x_t.shape)}: make both the same."
            )
        return answer

    def __call__(self, x_t: Tensor, t: Tensor, **condition) -> tuple[Tensor, Tensor]:
        t = check_t(torch.as_tensor(t, device=x_t.device), self.schedule.steps, len(x_t))
        answer = self.answer(x_t, t, **condition)
        return from_target(self.schedule, answer.to(x_t.dtype), x_t, t, self.target)


def diffusion_loss(
    denoiser: Denoiser,
    x0: Tensor,
    generator: torch.Generator | None = None,
    weight: Callable[[Tensor], Tensor] | None = None,
    hole: Tensor | None = None,
    **condition,
) -> Tensor:
    """Mean squared error of the target at random t and ε (DDPM, eq. 14 and algorithm 1); a scalar.

    x0 (B, …) in [−1, 1]; t is uniform on 1…T; weight maps log SNR_t (B,) to a factor per image (B,).
    hole, bool (B, 1, H, W): only these pixels are noisy and only they count (Palette, inpainting).
    """
    schedule = denoiser.schedule
    check_floats(x0, "x0")
    if hole is not None:
        hole = check_hole(hole, x0)
    where = x0.device if generator is None else generator.device
    t = torch.randint(1, schedule.steps + 1, (len(x0),), generator=generator, device=where)
    eps = noise_like(x0, generator)
    x_t = add_noise(schedule, x0, t, eps)
    answer = denoiser.answer(x_t if hole is None else torch.where(hole, x_t, x0), t, **condition)
    wanted = to_target(schedule, x0, eps, t, denoiser.target)
    error = F.mse_loss(answer.float(), wanted, reduction="none")  # (B, …)
    if hole is None:
        error = error.flatten(1).mean(1)  # (B,)
    else:
        counts = hole.expand_as(error).flatten(1)
        error = (error.flatten(1) * counts).sum(1) / counts.sum(1).clamp(min=1)  # (B,)
    if weight is not None:
        error = error * weight(schedule.log_snr.to(error)[t])
    return error.mean()
