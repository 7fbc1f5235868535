"""The parts from which the networks are built: embeddings, attention, the residual block."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def zero_module(module: nn.Module) -> nn.Module:
    """The module with all its parameters at 0, so that the branch it ends starts as nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def sinusoidal_embedding(t: Tensor, dim: int) -> Tensor:
    """cos and sin of t·ω, ω falling from 1 towards 1/10000 (Transformer, section 3.5); t (B,) → (B, dim)."""
    if dim % 2:
        raise ValueError(f"A sinusoidal embedding has pairs of cos and sin: dim must be even, not {dim}.")
    omega = torch.exp(-math.log(10_000) * torch.arange(dim // 2, device=t.device) / (dim // 2))
    angle = t.float()[:, None] * omega  # (B, dim/2)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with the first of 32, 24, 16, 12, … groups that leaves at least 4 channels each, else 1."""
    sizes = (32, 24, 16, 12, 8, 6, 4, 3, 2)
    groups = next((g for g in sizes if channels % g == 0 and channels // g >= 4), 1)
    return nn.GroupNorm(groups, channels)


class AttributeEmbedding(nn.Module):
    """One vector for a list of attributes, each with a learned null (Classifier-Free Guidance, section 3.2).

    attributes (B, A) holds the value of each attribute in 0…cardinality−1, or −1 for "left open";
    answers (B, dim), the sum over attributes. Raises ValueError for values outside that range.
    """

    def __init__(self, cardinalities: tuple[int, ...], dim: int):
        super().__init__()
        self.cardinalities = tuple(cardinalities)
        self.table = nn.Embedding(sum(cardinalities) + len(cardinalities), dim)
        nn.init.normal_(self.table.weight, std=0.02)
        rows = torch.tensor([c + 1 for c in cardinalities])
        self.register_buffer("first", rows.cumsum(0) - rows, persistent=False)  # (A,) the null's row
        self.register_buffer("size", rows - 1, persistent=False)  # (A,)

    def forward(self, attributes: Tensor) -> Tensor:
        if attributes.ndim != 2 or attributes.shape[1] != len(self.cardinalities):
            raise ValueError(
                f"attributes must be (B, {len(self.cardinalities)}), not {tuple(attributes.shape)}."
            )
        attributes = attributes.long().to(self.first.device)
        outside = ((attributes < -1) | (attributes >= self.size)).any(1, keepdim=True)
        if outside.device.type == "cpu" and outside.any():  # to look would make a GPU wait: there it is NaN
            raise ValueError("An attribute's value lies outside its range; −1 leaves it open.")
        rows = self.first + 1 + attributes.clamp(min=-1).minimum(self.size - 1)
        return self.table(rows).sum(1).masked_fill(outside, math.nan)  # (B, A, dim) → (B, dim)


class SelfAttention(nn.Module):
    """Every place of the picture looks at every other (Transformer, eq. 1); (B, C, H, W) to the same.

    The output projection starts at zero, so a new layer is the identity.
    """

    def __init__(self, channels: int, heads: int = 4):
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be shared among {heads} heads.")
        self.heads = heads
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero_module(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, embedding: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # 3 × (B, heads, HW, C/heads)
        y = F.scaled_dot_product_attention(q, k, v)  # (B, heads, HW, C/heads)
        y = y.transpose(-1, -2).reshape(b, c, h, w)
        return x + self.out(y)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut, with adaptive group norm (Diffusion Models Beat GANs, eq. 7).

    x (B, C_in, H, W), embedding (B, E) → (B, C_out, H, W). adaptive=False adds the embedding instead of
    scaling and shifting by it (DDPM, appendix B). The second convolution starts at zero.
    """

    def __init__(self, c_in: int, c_out: int, embedding: int, dropout: float = 0.0, adaptive: bool = True):
        super().__init__()
        self.adaptive = adaptive
        self.norm1, self.norm2 = group_norm(c_in), group_norm(c_out)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.condition = nn.Linear(embedding, c_out * (2 if adaptive else 1))
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zero_module(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        e = self.condition(F.silu(embedding))[:, :, None, None]  # (B, 2C or C, 1, 1)
        if self.adaptive:
            scale, shift = e.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + e)
        return self.shortcut(x) + self.conv2(self.dropout(F.silu(h)))


class Stage(nn.ModuleList):
    """Layers one after the other, `stage(x, embedding, context)`: one place of a U-Net.

    Every layer of this file is called with all three and takes what it needs, so that a network need not know
    which of its layers look at the step or at a text. embedding (B, E), context (B, tokens, D) or None.
    """

    def forward(self, x: Tensor, embedding: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x, embedding, context)
        return x


class Nothing(nn.Identity):
    """A layer of a stage that leaves x as it is, built and called like any other."""

    def forward(self, x: Tensor, embedding: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        return x


class Downsample(nn.Module):
    """Half the side by a convolution of stride 2: (B, C, H, W) → (B, C, H/2, W/2)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, embedding: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Twice the side by repeating pixels and smoothing: (B, C, H, W) → (B, C, 2H, 2W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
