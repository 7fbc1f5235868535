"""Steering a denoiser by its condition."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def drop_attributes(attributes: Tensor, all: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """attributes (B, A) with some entries at −1, "left open": one network learns every conditional.

    Each row loses its entries with a probability of its own, uniform on [0, 1], and with probability
    `all` the whole row (Classifier-Free Guidance, algorithm 1, for a list of attributes).
    """

    def random(*shape):
        return torch.rand(shape, generator=generator, device=attributes.device)

    rows, columns = attributes.shape
    lost = (random(rows, columns) < random(rows, 1)) | (random(rows, 1) < all)
    return attributes.masked_fill(lost, -1)


def guide(predict: Callable, scale: float) -> Callable:
    """`predict` with classifier-free guidance: uncond + scale · (cond − uncond), on all channels.

    scale 0 is unconditional, 1 conditional (the paper's w is scale − 1; Classifier-Free Guidance, eq. 6).
    The answer takes the same arguments as `predict`; attributes (B, A) is required.
    """

    def guided(x_t: Tensor, t: Tensor, attributes: Tensor, **condition) -> tuple[Tensor, Tensor]:
        twice = {k: torch.cat([v, v]) for k, v in condition.items() if v is not None}
        both = torch.cat([attributes, torch.full_like(attributes, -1)])
        t = torch.as_tensor(t, device=x_t.device).expand(len(x_t))
        x0, eps = predict(torch.cat([x_t, x_t]), torch.cat([t, t]), attributes=both, **twice)
        (x0_c, x0_u), (eps_c, eps_u) = x0.chunk(2), eps.chunk(2)
        return x0_u + scale * (x0_c - x0_u), eps_u + scale * (eps_c - eps_u)

    return guided
