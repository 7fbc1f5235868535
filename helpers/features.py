"""The network in whose features pictures are compared: it judges, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .arguments import check_images, whole
from .pictures import to_floats


class FaceFeatures(nn.Module):
    """The course's stand-in for Inception: an attribute classifier of faces with 64 features.

    images (B, 3, H, W) in [−1, 1], resized to 64×64 → features (B, 64), of unit variance on average over
    the training faces; or with classify=True a list of logits (B, cardinality), one tensor per attribute.
    """

    def __init__(self, cardinalities: tuple[int, ...], width: int = 32, features: int = 64):
        super().__init__()
        self.config = dict(cardinalities=tuple(cardinalities), width=width, features=features)
        widths = [width, width * 2, width * 4, width * 4]
        body, c = [], 3
        for w in widths:  # 64 → 32 → 16 → 8 → 4
            body += [
                nn.Conv2d(c, w, 3, stride=2, padding=1),
                nn.GroupNorm(8, w),
                nn.SiLU(),
                nn.Conv2d(w, w, 3, padding=1),
                nn.GroupNorm(8, w),
                nn.SiLU(),
            ]
            c = w
        self.body = nn.Sequential(*body)
        self.features = nn.Linear(c * 16, features)
        self.heads = nn.ModuleList(nn.Linear(features, k) for k in cardinalities)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, images: Tensor, classify: bool = False) -> Tensor | list[Tensor]:
        check_images(images)
        if images.shape[-2:] != (64, 64):
            images = F.interpolate(images, (64, 64), mode="bilinear", antialias=True, align_corners=False)
        features = self.features(self.body(images).flatten(1))
        return [head(F.silu(features)) for head in self.heads] if classify else features / self.scale


@torch.no_grad()
def extract(network: nn.Module, images: Tensor, batch: int = 250) -> Tensor:
    """Features (N, F) of images (N, 3, H, W) in [−1, 1], computed batch by batch.

    Of a large set give the pixels (uint8): they become floats batch by batch, too.
    """
    device = next(network.parameters()).device
    parts = (to_floats(x) if x.dtype == torch.uint8 else x for x in images.split(whole(batch, "batch")))
    return torch.cat([network(part.to(device)).float().cpu() for part in parts])
