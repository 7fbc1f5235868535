"""Denoisers that are known in closed form, to test samplers and to compare networks with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .schedules import Schedule


class MixtureDenoiser:
    """The exact `predict(x_t, t) -> (x0, eps)` for data from a mixture of isotropic Gaussians.

    means (K, D), stds (K,), weights (K,) with sum 1; x_t (B, D). One component gives a Gaussian. x0 is
    the posterior mean E[x_0 given x_t] (Tweedie's formula), eps the noise that belongs to it.
    """

    def __init__(self, schedule: Schedule, means: Tensor, stds: Tensor, weights: Tensor | None = None):
        self.schedule, self.means = schedule, means
        self.stds = torch.as_tensor(stds, dtype=means.dtype, device=means.device).expand(len(means))
        equal = means.new_full((len(means),), 1 / len(means))
        self.weights = (
            equal if weights is None else torch.as_tensor(weights, dtype=means.dtype, device=means.device)
        )
        if abs(float(self.weights.sum()) - 1) > 1e-6:
            raise ValueError(f"The weights of a mixture add up to 1, not {float(self.weights.sum()):.3f}.")

    def components(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log(weight · density) (B, K), offsets x_t − signal·mean (B, K, D), variances (B, K)."""
        signal, noise = self.schedule.at(t, like=x_t)  # (B, 1)
        if x_t.shape[1:] != self.means.shape[1:]:
            raise ValueError(f"The points must be (B, {self.means.shape[1]}), not {tuple(x_t.shape)}.")
        variance = signal**2 * self.stds**2 + noise**2  # (B, K)
        offset = x_t[:, None] - signal[:, :, None] * self.means  # (B, K, D)
        log = -0.5 * (offset.square().sum(-1) / variance + x_t.shape[1] * (2 * math.pi * variance).log())
        return log + self.weights.log(), offset, variance

    def log_density(self, x_t: Tensor, t: Tensor) -> Tensor:
        """log q(x_t), shape (B,)."""
        return self.components(x_t, t)[0].logsumexp(1)

    def score(self, x_t: Tensor, t: Tensor) -> Tensor:
        """∇ log q(x_t), shape (B, D)."""
        log, offset, variance = self.components(x_t, t)
        share = log.softmax(1)  # (B, K) who made x_t
        return -(share / variance)[:, :, None].mul(offset).sum(1)

    def __call__(self, x_t: Tensor, t: Tensor, **condition) -> tuple[Tensor, Tensor]:
        signal, noise = self.schedule.at(t, like=x_t)
        eps = -noise * self.score(x_t, t)
        log, offset, variance = self.components(x_t, t)
        gain = signal * self.stds**2 / variance  # (B, K) how far x_t pulls each mean
        x0 = (log.softmax(1)[:, :, None] * (self.means + gain[:, :, None] * offset)).sum(1)
        return x0, eps

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n points (n, D) of the data."""
        k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        z = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype, device=k.device)
        return self.means[k] + self.stds[k, None] * z
