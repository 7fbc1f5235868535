"""Eight bits a number: weights in blocks that share a scale."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 32  # numbers that share a scale


def to_blocks(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Eight bits a number, in blocks of 32 that share a scale, as ggml's Q8_0: int8 (N, 32), half (N, 1)."""
    flat = weight.flatten()
    blocks = F.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    scale = (blocks.abs().amax(1, keepdim=True) / 127).half().clamp(min=2**-24)  # the smallest in half
    return (blocks / scale.float()).round().clamp(-127, 127).to(torch.int8), scale


def from_blocks(blocks: Tensor, scale: Tensor, shape: torch.Size) -> Tensor:
    """What `to_blocks` was given, in float32, each number within half a scale of what it was.

    Further off in blocks of numbers below 1e-3, whose scale has few digits in half precision.
    """
    return (blocks.float() * scale.float()).flatten()[: shape.numel()].view(shape)
