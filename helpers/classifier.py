"""A classifier of noisy pictures: what classifier guidance differentiates."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .arguments import check_floats
from .layers import Downsample, ResidualBlock, Stage, group_norm, sinusoidal_embedding
from .schedules import check_t


class NoisyClassifier(nn.Module):
    """The downward half of a U-Net with one head an attribute (Diffusion Models Beat GANs, section 4.1).

    x (B, 3, H, W) at the steps t (B,) → a list of logits (B, cardinality), one tensor per attribute. Level i
    has widths[i] channels and 1/2^i of the side; patch folds p×p pixels into channels before. It has to know
    t: how much of a picture is noise says how far it may be believed.
    """

    def __init__(
        self, cardinalities: tuple[int, ...], widths: tuple[int, ...] = (32, 64, 96, 128), patch: int = 2
    ):
        super().__init__()
        self.config = dict(cardinalities=tuple(cardinalities), widths=tuple(widths), patch=patch)
        self.patch, dim = patch, 4 * widths[0]
        self.time = nn.Sequential(nn.Linear(widths[0], dim), nn.SiLU(), nn.Linear(dim, dim))
        self.first = nn.Conv2d(3 * patch**2, widths[0], 3, padding=1)
        layers, c = [], widths[0]
        for level, width in enumerate(widths):
            layers += [ResidualBlock(c, width, dim)]
            if level < len(widths) - 1:
                layers += [Downsample(width)]
            c = width
        self.body = Stage(layers)
        self.norm = group_norm(c)
        self.heads = nn.ModuleList(nn.Linear(c, k) for k in cardinalities)

    def forward(self, x: Tensor, t: Tensor) -> list[Tensor]:
        check_floats(x, "x")
        t = check_t(t, 10**9, len(x)).to(x.device)
        e = self.time(sinusoidal_embedding(t, self.time[0].in_features).to(self.time[0].weight.dtype))
        h = self.body(self.first(F.pixel_unshuffle(x, self.patch)), e)  # (B, widths[-1], …)
        h = F.silu(self.norm(h)).mean((2, 3))  # (B, widths[-1])
        return [head(h) for head in self.heads]


def log_prob(classifier: NoisyClassifier) -> Callable:
    """log p(y | x_t) for `classifier_guide`: (x_t, t, attributes) → (B,), the sum over what is asked for.

    attributes (B, A): the value wanted of each, −1 where anything will do. The classifier knows nothing of
    how attributes go together; it takes each by itself, so their logarithms add up.
    """

    def wanted(x_t: Tensor, t: Tensor, attributes: Tensor) -> Tensor:
        rows = attributes.long().T  # (A, B)
        logs = [
            logits.float().log_softmax(1).gather(1, row.clamp(min=0)[:, None])[:, 0] * (row >= 0)
            for logits, row in zip(classifier(x_t, t), rows, strict=True)
        ]
        return torch.stack(logs).sum(0)

    return wanted
