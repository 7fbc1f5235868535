"""The U-Net of the course."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .arguments import alike, check_floats
from .layers import (
    AttributeEmbedding,
    Downsample,
    Nothing,
    ResidualBlock,
    SelfAttention,
    Stage,
    Upsample,
    group_norm,
    sinusoidal_embedding,
    zero_module,
)
from .schedules import check_t


class UNet(nn.Module):
    """A U-Net with skip connections, conditioned on the step (DDPM, appendix B).

    x (B, channels, H, W), t (B,) integers → (B, out_channels, H, W). H and W must be divisible by
    `factor`. Level i has widths[i] channels and 1/2^i of the side; attention names the levels that
    attend. patch folds p×p pixels into channels before the first convolution and back at the end.
    attributes: cardinalities of an attribute condition (B, A), −1 leaves one open, None all.
    image_channels: channels of an extra image that is seen beside x (Palette, section 3).
    """

    def __init__(
        self,
        channels: int = 3,
        out_channels: int | None = None,
        widths: tuple[int, ...] = (64, 128, 192),
        blocks: int = 1,
        attention: tuple[int, ...] = (2,),
        heads: int = 4,
        patch: int = 1,
        attributes: tuple[int, ...] = (),
        image_channels: int = 0,
        dropout: float = 0.0,
        adaptive: bool = True,
    ):
        super().__init__()
        out_channels = out_channels or channels
        self.config = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self.channels, self.image_channels, self.patch = channels, image_channels, patch
        self.factor = patch * 2 ** (len(widths) - 1)
        dim = 4 * widths[0]
        self.time = nn.Sequential(nn.Linear(widths[0], dim), nn.SiLU(), nn.Linear(dim, dim))
        self.attributes = AttributeEmbedding(attributes, dim) if attributes else None

        def residual(c_in, c_out):
            return ResidualBlock(c_in, c_out, dim, dropout, adaptive)

        def stage(level, c_in):
            layers = [residual(c_in, widths[level])]
            if level in attention:
                layers.append(SelfAttention(widths[level], heads))
            return Stage(layers)

        self.first = nn.Conv2d((channels + image_channels) * patch**2, widths[0], 3, padding=1)
        self.down, self.up, skips, c = nn.ModuleList(), nn.ModuleList(), [widths[0]], widths[0]
        for level, width in enumerate(widths):
            for _ in range(blocks):
                self.down.append(stage(level, c))
                c = width
                skips.append(c)
            if level < len(widths) - 1:
                self.down.append(Downsample(c))
                skips.append(c)
        attend = SelfAttention if attention else Nothing  # so that the weights' names stay the same
        self.middle = Stage([residual(c, c), attend(c, heads), residual(c, c)])
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                self.up.append(stage(level, c + skips.pop()))
                c = width
            if level > 0:
                self.up.append(Upsample(c))
        self.last = nn.Sequential(
            group_norm(c), nn.SiLU(), zero_module(nn.Conv2d(c, out_channels * patch**2, 3, padding=1))
        )

    def forward(
        self, x: Tensor, t: Tensor, attributes: Tensor | None = None, image: Tensor | None = None
    ) -> Tensor:
        x, e = self.embed(x, t, attributes, image)
        x = self.first(x)  # (B, widths[0], H/patch, W/patch)
        skips = [x]
        for stage in self.down:
            x = stage(x, e)
            skips.append(x)
        x = self.middle(x, e)
        for stage in self.up:
            if not isinstance(stage, Upsample):  # the skip that was laid down last is taken first
                x = torch.cat([x, skips.pop()], dim=1)
            x = stage(x, e)
        return F.pixel_shuffle(self.last(x), self.patch)  # (B, out_channels, H, W)

    def embed(self, x, t, attributes, image) -> tuple[Tensor, Tensor]:
        """Checks the input; the picture as the first convolution sees it, and the embedding (B, E)."""
        check_floats(x, "x")
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(f"x must be (B, {self.channels}, H, W), not {tuple(x.shape)}.")
        if x.shape[2] % self.factor or x.shape[3] % self.factor:
            raise ValueError(
                f"This U-Net needs sides divisible by {self.factor}, not {x.shape[2]}×{x.shape[3]}."
            )
        if x.device != self.first.weight.device:
            raise ValueError(
                f"x lies on {x.device}, the network on {self.first.weight.device}: use x.to(device)."
            )
        t = check_t(t, 10**9, len(x)).to(x.device)
        e = self.time(sinusoidal_embedding(t, self.time[0].in_features).to(self.time[0].weight.dtype))
        if self.attributes is not None:
            if attributes is None:
                attributes = t.new_full((len(x), len(self.attributes.cardinalities)), -1)
            if len(attributes) != len(x):
                raise ValueError(f"There are {len(x)} images but {len(attributes)} rows of attributes.")
            e = e + self.attributes(attributes)
        elif attributes is not None:
            raise ValueError("This U-Net was built without attributes; it cannot follow any.")
        if (image is None) != (self.image_channels == 0):
            raise ValueError(
                f"This U-Net sees {self.image_channels} extra image channels: "
                f"image is {'missing' if image is None else 'given'}."
            )
        if image is not None:
            if image.shape != (len(x), self.image_channels, *x.shape[2:]):
                raise ValueError(
                    f"The extra image must be ({len(x)}, {self.image_channels}, "
                    f"{x.shape[2]}, {x.shape[3]}), not {tuple(image.shape)}."
                )
            alike(x=x[:, :1], image=image[:, :1])
            x = torch.cat([x, image], dim=1)
        return F.pixel_unshuffle(x, self.patch), e


def count_parameters(module: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
