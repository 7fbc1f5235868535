"""Noise tables: how much signal and how much noise is left at each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .arguments import check_floats, whole


@dataclass(frozen=True)
class Schedule:
    """A table `x_t = signal_t · x_0 + noise_t · ε`, index 0 clean, index T noisiest (DDPM, eq. 4).

    signal, noise: float64, shape (T+1,), with signal[0] = 1 and noise[0] = 0.
    """

    name: str
    signal: Tensor
    noise: Tensor

    def __post_init__(self):
        ends = float(self.signal[0]), float(self.noise[0])
        if ends != (1.0, 0.0):
            raise ValueError(f"Index 0 of a schedule is the clean image: signal 1, noise 0, not {ends}.")

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(self.signal) - 1

    @property
    def variance_preserving(self) -> bool:
        """True where signal² + noise² = 1 at every step."""
        return torch.allclose(self.signal**2 + self.noise**2, torch.ones_like(self.signal))

    @property
    def alphas_cumprod(self) -> Tensor:
        """ᾱ_t, shape (T+1,), ᾱ_0 = 1 (DDPM, eq. 4); only for variance-preserving tables."""
        if not self.variance_preserving:
            raise AttributeError(
                f"'{self.name}' does not preserve variance, so it has no ᾱ and no β; use signal and noise."
            )
        return self.signal**2

    @property
    def betas(self) -> Tensor:
        """β_t = 1 − ᾱ_t/ᾱ_{t−1}, shape (T+1,), with β_0 = 0 so that betas[t] is the paper's β_t."""
        a = self.alphas_cumprod
        return torch.cat([torch.zeros_like(a[:1]), 1 - a[1:] / a[:-1]])

    @property
    def log_snr(self) -> Tensor:
        """log(signal²/noise²), shape (T+1,), +∞ at index 0 (VDM, section 3.1)."""
        return 2 * (self.signal.log() - self.noise.log())

    def at(self, t: Tensor, like: Tensor, exact: bool = False) -> tuple[Tensor, Tensor]:
        """signal_t and noise_t for t (B,), shaped (B, 1, …, 1) in the dtype and device of `like`.

        exact: in float64 on the CPU. Neighbours differ by 1e-6, so the variance of a step is worked out
        before anything is rounded.
        """
        check_floats(like, "image")
        t = check_t(t, self.steps, len(like))
        shape = (-1,) + (1,) * (like.ndim - 1)
        dtype, device = (torch.float64, "cpu") if exact else (like.dtype, like.device)
        if exact or t.device.type == "cpu":  # looked up here and sent there: nothing waits for a GPU
            t = t.cpu()
            return tuple(x[t].to(device, dtype).view(shape) for x in (self.signal, self.noise))
        outside, t = (t < 0) | (t > self.steps), t.clamp(0, self.steps)
        tables = (x.to(device, dtype)[t].masked_fill(outside, math.nan) for x in (self.signal, self.noise))
        return tuple(x.view(shape) for x in tables)


def check_t(t: Tensor, steps: int, batch: int) -> Tensor:
    """t as a long tensor (B,) with every entry in 0…T; a number is repeated for the whole batch.

    Raises TypeError for fractional t, ValueError for t out of range or of the wrong length. The range is only
    looked at on the CPU: to read a value back makes a GPU wait. There a t out of range gives NaN.
    """
    if t is None or isinstance(t, str):
        raise TypeError(f"t counts steps, so it must be an integer tensor, not {t!r}.")
    t = torch.as_tensor(t)
    if t.is_floating_point() or t.is_complex() or t.dtype == torch.bool:
        raise TypeError(f"t counts steps, so it must be an integer tensor, not {t.dtype}.")
    t = t.long().expand(batch) if t.ndim == 0 else t.long()
    if t.shape != (batch,):
        raise ValueError(f"t must have one entry per image: shape ({batch},), not {tuple(t.shape)}.")
    if batch and t.device.type == "cpu" and (t.min() < 0 or t.max() > steps):
        raise ValueError(f"t must lie in 0…{steps}, but it runs from {t.min()} to {t.max()}.")
    return t


def from_betas(betas: Tensor, name: str = "custom") -> Schedule:
    """The variance-preserving table of β_1 … β_T, each in (0, 1] (DDPM, eq. 2 and 4)."""
    betas = torch.as_tensor(betas, dtype=torch.float64)
    if betas.ndim != 1 or len(betas) < 1 or betas.min() <= 0 or betas.max() > 1:
        raise ValueError("betas must be a list of at least one number, each in (0, 1].")
    return from_alphas_cumprod(torch.cumprod(1 - betas, dim=0), name)


def from_alphas_cumprod(alphas_cumprod: Tensor, name: str = "custom") -> Schedule:
    """The variance-preserving table of ᾱ_1 … ᾱ_T, in [0, 1) and never rising (DDPM, eq. 4)."""
    a = torch.as_tensor(alphas_cumprod, dtype=torch.float64)
    if a.ndim != 1 or len(a) < 1 or not (a[0] < 1 and a[-1] >= 0 and (a[1:] <= a[:-1]).all()):
        raise ValueError("ᾱ_1 … ᾱ_T must be a list of at least one number in [0, 1) that never rises.")
    a = torch.cat([torch.ones_like(a[:1]), a])
    return Schedule(name, a.sqrt(), (1 - a).sqrt())


def linear(steps: int = 1000) -> Schedule:
    """β from 1e-4 to 0.02 in equal steps, not rescaled with T (DDPM, section 4)."""
    return from_betas(torch.linspace(1e-4, 0.02, steps, dtype=torch.float64), "linear")


def scaled_linear(steps: int = 1000) -> Schedule:
    """√β from √0.00085 to √0.012 in equal steps (Stable Diffusion)."""
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, steps, dtype=torch.float64)
    return from_betas(roots**2, "scaled linear")


def cosine(steps: int = 1000) -> Schedule:
    """ᾱ_t = f(t)/f(0), f(t) = cos²((t/T + s)/(1 + s) · π/2), s = 0.008, β ≤ 0.999 (Improved DDPM, eq. 17)."""
    s = 0.008
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    f = torch.cos((t + s) / (1 + s) * math.pi / 2) ** 2
    return from_betas((1 - f[1:] / f[:-1]).clamp(max=0.999), "cosine")


def rectified_flow(steps: int = 1000) -> Schedule:
    """The straight path x_t = (1 − t/T) · x_0 + t/T · ε (Rectified Flow, eq. 1)."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    return Schedule("rectified flow", 1 - t, t)


def shift(schedule: Schedule, log_snr: float) -> Schedule:
    """The same table with `log_snr` added to its log SNR (Simple Diffusion, eq. 4).

    At twice the side a picture stands the same noise better (its neighbours tell more), so one adds
    −2·ln 2 for each doubling.
    """
    a = schedule.alphas_cumprod[1:]
    odds = a * math.exp(log_snr)  # ᾱ·e^s / (ᾱ·e^s + 1 − ᾱ) is the logistic of log SNR + s
    return from_alphas_cumprod(odds / (odds + 1 - a), f"{schedule.name} shifted by {log_snr:.2f}")


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """√ᾱ shifted and scaled so that signal_T = 0 exactly (Lin et al. 2023, algorithm 1)."""
    root = schedule.alphas_cumprod[1:].sqrt()
    if len(root) < 2:
        raise ValueError("Zero terminal SNR needs a table of at least 2 steps.")
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return from_alphas_cumprod(root**2, f"{schedule.name}, zero terminal SNR")


SCHEDULES = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "cosine": cosine,
    "rectified_flow": rectified_flow,
}


def make_schedule(name: str, steps: int = 1000, log_snr_shift: float = 0.0) -> Schedule:
    """The table called `name`, one of SCHEDULES, with T = steps, shifted in log SNR if asked.

    Raises ValueError for an unknown name or steps below 1.
    """
    if name not in SCHEDULES:
        raise ValueError(f"There is no schedule '{name}'; choose one of {', '.join(SCHEDULES)}.")
    schedule = SCHEDULES[name](whole(steps, "steps"))
    return shift(schedule, log_snr_shift) if log_snr_shift else schedule
