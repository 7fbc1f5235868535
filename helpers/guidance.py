"""Steering a denoiser by its condition."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor

from .arguments import alike
from .schedules import Schedule, check_t
from .targets import eps_from_x0


def drop_attributes(attributes: Tensor, all: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """attributes (B, A) with some entries at −1, "left open": one network learns every conditional.

    Each row loses its entries with a probability of its own, uniform on [0, 1], and with probability
    `all` the whole row (Classifier-Free Guidance, algorithm 1, for a list of attributes).
    """

    def random(*shape):
        return torch.rand(shape, generator=generator, device=attributes.device)

    alike(attributes=attributes)
    if attributes.ndim != 2 or not 0 <= all <= 1:
        shape = tuple(attributes.shape)
        raise ValueError(f"Rows (B, A) are dropped with a probability in [0, 1], not {shape} with {all}.")
    rows, columns = attributes.shape
    lost = (random(rows, columns) < random(rows, 1)) | (random(rows, 1) < all)
    return attributes.masked_fill(lost, -1)


def guide(
    predict: Callable,
    scale: float,
    worse: Callable | None = None,
    combine: Callable | None = None,
    interval: tuple[int, int] | None = None,
    **null,
) -> Callable:
    """`predict` with guidance: bad + scale · (good − bad), on all channels (Classifier-Free Guidance, eq. 6).

    good is what `predict` answers to the condition, bad what it answers to the null. null names each
    condition to be guided and says what it is when left open: `attributes=-1`, `tokens=empty`; a number, or
    a tensor that fits the condition. Other conditions go to both calls unchanged. scale 0 is unconditional,
    1 conditional (the paper's w is scale − 1). With `worse`, a worse denoiser of the same pictures, bad is
    its answer, to the condition unless there is a null (autoguidance, 2406.02070, eq. 3). combine(x_t, t, x0
    good, x0 bad, scale) may answer (x0, eps) otherwise: `rescale`, `project`. interval (low, high): outside
    low ≤ t ≤ high the condition is followed unguided, in one call (2404.07724, eq. 4). The answer takes the
    arguments of `predict`. Raises ValueError without a null or a worse model, or where the condition of a
    null is not given.
    """
    if not isinstance(scale, (Real, Tensor)) or not math.isfinite(scale):
        raise ValueError(f"The scale of guidance is a number, not {scale!r}.")
    if not null and worse is None:
        raise ValueError("Guidance needs to know what an open condition is: for example attributes=-1.")

    def guided(x_t: Tensor, t: Tensor, **condition) -> tuple[Tensor, Tensor]:
        alike(x_t=x_t)
        given = {name: value for name, value in condition.items() if value is not None}
        if missing := ", ".join(name for name in null if name not in given):
            raise ValueError(f"Guidance has a null for {missing}, but no condition of this name was given.")
        t = check_t(t, 10**9, len(x_t))
        if interval is not None and not interval[0] <= int(t.max()) <= interval[1]:
            return predict(x_t, t.to(x_t.device), **given)
        t, opened = t.to(x_t.device), {name: left_open(name, value) for name, value in given.items()}
        if worse is None:  # one call of twice the batch
            twice = {name: torch.cat([value, opened[name]]) for name, value in given.items()}
            x0, eps = predict(torch.cat([x_t, x_t]), torch.cat([t, t]), **twice)
            (x0_good, x0_bad), (eps_good, eps_bad) = x0.chunk(2), eps.chunk(2)
        else:
            (x0_good, eps_good), (x0_bad, eps_bad) = predict(x_t, t, **given), worse(x_t, t, **opened)
        if combine is not None:
            return combine(x_t, t, x0_good, x0_bad, scale)
        return x0_bad + scale * (x0_good - x0_bad), eps_bad + scale * (eps_good - eps_bad)

    def left_open(name: str, value: Tensor) -> Tensor:
        if name not in null:
            return value
        empty = torch.as_tensor(null[name], dtype=value.dtype, device=value.device)
        try:
            return empty.expand_as(value)
        except RuntimeError:
            raise ValueError(
                f"The null of {name} is {tuple(empty.shape)}, which does not fit {tuple(value.shape)}."
            ) from None

    return guided


def rescale(schedule: Schedule, share: float = 0.7) -> Callable:
    """For `guide`: x0 gets back, by `share`, the spread of the conditional one (2305.08891, eq. 15 and 16).

    The paper does it to the network's v; we do it to x0 (B, …), where contrast and colour are seen.
    """

    def combine(x_t, t, good, bad, scale):
        guided = bad + scale * (good - bad)
        factor = spread(good) / spread(guided).clamp(min=1e-8)
        x0 = guided * (share * factor + 1 - share)
        return x0, eps_from_x0(schedule, x_t, x0, t)

    return combine


def project(schedule: Schedule, keep: float = 0.0, radius: float = math.inf) -> Callable:
    """For `guide`: only `keep` of what runs along the conditional x0 itself (APG, 2410.02416, section 4.1).

    good − bad is first shortened to at most `radius` (its norm over a picture); then it is split into a part
    parallel to the conditional x0 (B, …), contrast and saturation, and the rest, which is kept whole.
    """

    def combine(x_t, t, good, bad, scale):
        along, change = good.flatten(1), (good - bad).flatten(1)  # (B, D)
        change = change * (radius / change.norm(dim=1, keepdim=True).clamp(min=1e-8)).clamp(max=1)
        share = (change * along).sum(1) / along.square().sum(1).clamp(min=1e-8)  # (B,)
        parallel = share[:, None] * along
        x0 = good + (scale - 1) * (change - (1 - keep) * parallel).view_as(good)
        return x0, eps_from_x0(schedule, x_t, x0, t)

    return combine


def spread(x: Tensor) -> Tensor:
    """The standard deviation of each picture (B, …) over all its numbers, (B, 1, …)."""
    return x.flatten(1).std(1).view(-1, *[1] * (x.ndim - 1))


def classifier_guide(
    predict: Callable, schedule: Schedule, log_prob: Callable, scale: float, name: str = "attributes"
) -> Callable:
    """`predict` of a model without the condition, steered by a classifier (Models Beat GANs, algorithm 2).

    ε − scale · noise_t · ∇ log p(y | x_t), and the x0 that belongs to it. log_prob(x_t, t, y) → (B,) is the
    classifier's log-probability of y, which the answer takes as the condition `name`; others go to `predict`.
    """

    def guided(x_t: Tensor, t: Tensor, **condition) -> tuple[Tensor, Tensor]:
        alike(x_t=x_t)
        if condition.get(name) is None:
            raise ValueError(f"The classifier has to be told what to look for: give {name}.")
        t, y = check_t(t, schedule.steps, len(x_t)).to(x_t.device), condition.pop(name)
        x0, eps = predict(x_t, t, **condition)
        with torch.enable_grad():
            x = x_t.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(log_prob(x, t, y).sum(), x)
        signal, noise = (part.to(x_t) for part in schedule.at(t, like=x_t))
        return x0 + scale * noise**2 / signal * gradient, eps - scale * noise * gradient

    return guided
