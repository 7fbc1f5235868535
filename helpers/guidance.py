"""Steering a denoiser by its condition."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor

from .arguments import alike
from .schedules import check_t


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


def guide(predict: Callable, scale: float, **null) -> Callable:
    """`predict` with classifier-free guidance: uncond + scale · (cond − uncond), on all channels.

    null names each condition to be guided and says what it is when left open: `attributes=-1`,
    `tokens=empty`; a number, or a tensor that fits the condition. Other conditions go to both calls
    unchanged. scale 0 is unconditional, 1 conditional (the paper's w is scale − 1; Classifier-Free
    Guidance, eq. 6). The answer takes the arguments of `predict`. Raises ValueError without a null, or
    where its condition is not given.
    """
    if not isinstance(scale, (Real, Tensor)) or not math.isfinite(scale):
        raise ValueError(f"The scale of guidance is a number, not {scale!r}.")
    if not null:
        raise ValueError("Guidance needs to know what an open condition is: for example attributes=-1.")

    def guided(x_t: Tensor, t: Tensor, **condition) -> tuple[Tensor, Tensor]:
        alike(x_t=x_t)
        given = {name: value for name, value in condition.items() if value is not None}
        if missing := ", ".join(name for name in null if name not in given):
            raise ValueError(f"Guidance has a null for {missing}, but no condition of this name was given.")
        twice = {name: torch.cat([value, left_open(name, value)]) for name, value in given.items()}
        t = check_t(t, 10**9, len(x_t)).to(x_t.device)
        x0, eps = predict(torch.cat([x_t, x_t]), torch.cat([t, t]), **twice)
        (x0_c, x0_u), (eps_c, eps_u) = x0.chunk(2), eps.chunk(2)
        return x0_u + scale * (x0_c - x0_u), eps_u + scale * (eps_c - eps_u)

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
