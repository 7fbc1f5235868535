"""What a network may answer: one table, and one formula that reads x0 and ε out of any answer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .arguments import alike
from .schedules import Schedule

# c · answer = a · x0 + b · ε: the coefficients (a, b, c) of each target, from signal_t and noise_t.
TARGETS = {
    "eps": lambda signal, noise: (0, 1, 1),  # DDPM, eq. 12
    "x0": lambda signal, noise: (1, 0, 1),
    "v": lambda signal, noise: (-noise, signal, 1),  # Progressive Distillation, appendix D
    "score": lambda signal, noise: (0, 1, -noise),  # Dhariwal and Nichol 2021, eq. 11
    "velocity": lambda signal, noise: (-1, 1, 1),  # Rectified Flow, eq. 1
}


def coefficients(target: str, signal: Tensor, noise: Tensor) -> tuple:
    """(a, b, c) of c · answer = a · x0 + b · ε; numbers or tensors shaped like signal and noise.

    Raises ValueError for a target that is not in TARGETS.
    """
    if target not in TARGETS:
        raise ValueError(f"There is no target '{target}'; choose one of {', '.join(TARGETS)}.")
    return TARGETS[target](signal, noise)


def determinant(target: str, signal: Tensor, noise: Tensor) -> Tensor:
    """signal · b − noise · a: 0 where the answer and x_t together do not tell x0 and ε apart."""
    a, b, _ = coefficients(target, signal, noise)
    return signal * b - noise * a


def to_target(schedule: Schedule, x0: Tensor, eps: Tensor, t: Tensor, target: str) -> Tensor:
    """What a network of this kind should answer, (a · x0 + b · ε) / c; x0, eps (B, …), t (B,) in 0…T.

    ε, x0, v = signal·ε − noise·x0, score = −ε/noise (t ≥ 1), velocity = ε − x0.
    """
    alike(x0=x0, eps=eps)
    signal, noise = schedule.at(t, like=x0)
    a, b, c = coefficients(target, signal, noise)
    return (a * x0 + b * eps) / c


def from_target(
    schedule: Schedule, answer: Tensor, x_t: Tensor, t: Tensor, target: str
) -> tuple[Tensor, Tensor]:
    """(x0, ε) from a network's answer: the two equations c·answer = a·x0 + b·ε, x_t = signal·x0 + noise·ε.

    The inverse of `to_target`, all (B, …), t (B,) in 1…T. Raises ValueError where the two are one: ε and
    score at signal_t = 0, x0 at t = 0.
    """
    alike(answer=answer, x_t=x_t)
    signal, noise = schedule.at(t, like=x_t)
    a, b, c = coefficients(target, signal, noise)
    both = determinant(target, signal, noise)
    if both.device.type == "cpu" and (both == 0).any():  # on a GPU to look would be to wait
        if (noise == 0).any():
            raise ValueError("At t = 0 nothing is noise, so x0 says nothing about ε: start at t ≥ 1.")
        raise ValueError("At signal_T = 0 the noise says nothing about x0: predict x0 or v instead.")
    given = c * answer
    return (b * x_t - noise * given) / both, (signal * given - a * x_t) / both


def eps_from_x0(schedule: Schedule, x_t: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """ε that leads from x0 to x_t, for t in 1…T; used again whenever x0 was changed (clipped, filled)."""
    return from_target(schedule, x0, x_t, t, "x0")[1]


def x0_weight(log_snr: Tensor, target: str) -> Tensor:
    """How many times the squared error of x0 is in that of the target, at log SNR (…), for the same x_t.

    An answer that misses x0 by d misses the target by √weight · d: a loss on ε (weight SNR) asks little where
    noise is strong. x0: 1, ε: SNR, v: SNR + 1, score: SNR (SNR + 1), velocity: (√SNR + 1)². For tables with
    signal² + noise² = 1 (Progressive Distillation, section 4). Raises ValueError for an unknown target.
    """
    log_snr = torch.as_tensor(log_snr)
    wide = log_snr.double().clamp(-300, 300)  # beyond, signal or noise is 0 for all that can be stored
    signal, noise = wide.sigmoid().sqrt(), (-wide).sigmoid().sqrt()
    _, _, c = coefficients(target, signal, noise)
    # for the same x_t, an error d of x0 is one of −signal/noise · d in ε
    weight = (determinant(target, signal, noise) / (noise * c)).square()
    return weight.to(log_snr.dtype if log_snr.is_floating_point() else torch.get_default_dtype())


def min_snr_weight(target: str, gamma: float = 5.0) -> Callable[[Tensor], Tensor]:
    """A `weight` for `diffusion_loss`: any error becomes min(SNR, γ) · that of x0 (Hang et al. 2023).

    Maps log SNR (…) to min(SNR, γ) / `x0_weight`. Raises ValueError for an unknown target or γ ≤ 0.
    """
    x0_weight(torch.zeros(()), target)  # an unknown target is refused here, not in the first step
    if not gamma > 0:
        raise ValueError(f"γ must be positive, not {gamma}.")

    def weight(log_snr: Tensor) -> Tensor:
        log_snr = torch.as_tensor(log_snr)
        wide = log_snr.double().clamp(-300, 300)
        return (wide.exp().clamp(max=gamma) / x0_weight(wide, target)).to(log_snr)

    return weight
