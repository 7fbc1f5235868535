"""The bound on the likelihood, term by term: L_T, L_{t−1}, L_0, in nats and in bits per dimension."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .arguments import check_floats
from .diffusion import add_noise, noise_like, posterior, step_variance
from .schedules import Schedule, check_t


class Bound(NamedTuple):
    """An upper bound of −log p(x_0), image by image, in nats (DDPM, eq. 5); see `bound`.

    prior (B,) is L_T, steps (B, K) the K strata of Σ L_{t−1}, first (B,) is L_0; rmse (B, K + 1) is the
    root mean square error of the guessed x0 in each stratum, and of t = 1 in column 0.
    """

    prior: Tensor
    steps: Tensor
    first: Tensor
    rmse: Tensor

    @property
    def total(self) -> Tensor:
        """L_VLB, (B,)."""
        return self.prior + self.steps.sum(1) + self.first


def bits_per_dim(nats: Tensor | float, dims: int) -> Tensor | float:
    """Nats per image → bits per number of the image: nats / (dims · ln 2)."""
    return nats / (dims * math.log(2))


def gaussian_kl(mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) ‖ N(other_mean, other_variance)) of each number, in nats; shapes broadcast."""
    ratio = torch.as_tensor(variance / other_variance, dtype=torch.float64)
    return 0.5 * (ratio - 1 - ratio.log() + (mean - other_mean) ** 2 / other_variance)


def decoder_log_likelihood(x0: Tensor, mean: Tensor, std: Tensor | float, bins: int = 256) -> Tensor:
    """log of the mass that N(mean, std²) gives to the bin of each number of x0 (DDPM, eq. 13).

    x0 (B, …) on the levels −1, −1 + 2/(bins−1), …, 1; a bin reaches halfway to its neighbours, the first
    and the last one to ∓∞. Returns float64 (B, …). Raises ValueError for bins < 2 or x0 off the levels.
    """
    if bins < 2:
        raise ValueError(f"A decoder needs at least 2 bins, not {bins}.")
    level = (x0.double() + 1) * (bins - 1) / 2
    if (level - level.round()).abs().max() > 1e-2 or level.min() < -0.5 or level.max() > bins - 0.5:
        raise ValueError(f"x0 must lie on {bins} levels from −1 to 1; quantise it after resizing.")
    centre = level.round() * 2 / (bins - 1) - 1
    half, inf = 1 / (bins - 1), torch.tensor(math.inf, dtype=torch.float64, device=x0.device)
    low = torch.where(centre - half < -1, -inf, (centre - half - mean) / std)
    high = torch.where(centre + half > 1, inf, (centre + half - mean) / std)
    flip = low + high > 0  # the left tail is the one that keeps its digits
    low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
    a, b = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    return b + torch.log1p(-torch.exp(a - b))


def prior_term(schedule: Schedule, x0: Tensor) -> Tensor:
    """L_T = KL(q(x_T given x_0) ‖ N(0, I)) in nats, (B,); no network can change it (DDPM, eq. 5)."""
    signal, noise = (float(table[-1]) for table in (schedule.signal, schedule.noise))
    variance, zero = torch.tensor(noise**2).double(), torch.tensor(0.0).double()
    return gaussian_kl(signal * x0.double(), variance, zero, zero + 1).flatten(1).sum(1)


def decoder_variance(schedule: Schedule, t: Tensor, variance: str = "small") -> Tensor:
    """`step_variance` of the steps from t to t−1, float64 (B,), with β̃_2 in place of β̃_1 = 0.

    A width of 0 would make L_0 infinite; so it is in the code of DDPM. Raises ValueError for t below 1.
    """
    t = torch.atleast_1d(torch.as_tensor(t))
    t = check_t(t, schedule.steps, len(t))
    if (t < 1).any():
        raise ValueError("A step back starts at t ≥ 1.")
    if variance == "small":
        t = t.clamp(min=min(2, schedule.steps))
    like = torch.zeros(len(t), dtype=torch.float64, device=t.device)
    return step_variance(schedule, t, t - 1, like, variance).to(like)


def step_term(
    predict: Callable,
    schedule: Schedule,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    bins: int | None = 256,
    variance: str = "small",
    clip: bool = True,
    **condition,
) -> tuple[Tensor, Tensor]:
    """L_{t−1} in nats for one drawn ε, and the mean squared error of the guessed x0, both (B,) float64.

    For t ≥ 2 the KL between the posterior and N(μ_θ, σ_t²); for t = 1 it is L_0 = −log p(x_0 given x_1), by
    bins, or as a density where bins is None (DDPM, eq. 5, 8, 13). x0, eps (B, …), t (B,) in 1…T.
    """
    t = check_t(t, schedule.steps, len(x0)).to(x0.device)
    sigma2 = decoder_variance(schedule, t, variance).view((-1,) + (1,) * (x0.ndim - 1))
    x_t = add_noise(schedule, x0, t, eps)
    guess = predict(x_t, t, **condition)[0]
    guess = guess.clamp(-1, 1) if clip else guess
    wide, seen, guess = x0.double(), x_t.double(), guess.double()
    true_mean, true_variance = posterior(schedule, wide, seen, t)
    mean = posterior(schedule, guess, seen, t)[0]
    if (t > 1).all():  # the usual case: no L_0 in this batch
        first = torch.zeros_like(wide)
    elif bins is None:
        first = 0.5 * ((wide - mean) ** 2 / sigma2 + (2 * math.pi * sigma2).log())
    else:
        first = -decoder_log_likelihood(x0, mean, sigma2.sqrt(), bins)
    later = t.view(sigma2.shape) > 1
    safe = torch.where(later, true_variance, 1.0)  # at t = 1 the posterior has no width
    terms = torch.where(later, gaussian_kl(true_mean, safe, mean, sigma2), first)
    return terms.flatten(1).sum(1), (guess - wide).square().flatten(1).mean(1)


def strata(steps: int, count: int) -> list[int]:
    """Edges 1 = e_0 < … < e_count = T that cut t = 2…T into `count` pieces (e_k, e_{k+1}], finer near 1."""
    if not 1 <= count < steps:
        raise ValueError(f"2…{steps} can be cut into 1…{steps - 1} pieces, not {count}.")
    edges = [1]
    for k in range(1, count + 1):
        wanted = round(steps ** (k / count))  # equal in log t …
        edges.append(min(max(wanted, edges[-1] + 1), steps - count + k))  # … and none empty
    return edges


@torch.no_grad()
def bound(
    predict: Callable,
    schedule: Schedule,
    x0: Tensor,
    edges: Sequence[int],
    generator: torch.Generator | None = None,
    **options,
) -> Bound:
    """An unbiased estimate of L_VLB for each image of x0 (B, …): one random t in each stratum of `edges`.

    A stratum's term is its width times L_{t−1}; options go to `step_term`. `strata(T, T−1)` takes every t.
    """
    check_floats(x0, "x0")
    where = x0.device if generator is None else generator.device
    columns, errors = [], []
    for low, high in zip([0, *edges[:-1]], edges, strict=True):
        t = torch.randint(low + 1, high + 1, (len(x0),), generator=generator, device=where)
        term, error = step_term(predict, schedule, x0, t, noise_like(x0, generator), **options)
        columns.append((high - low) * term)
        errors.append(error.sqrt())
    steps = torch.stack(columns[1:], 1)
    return Bound(prior_term(schedule, x0), steps, columns[0], torch.stack(errors, 1))
