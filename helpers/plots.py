"""Figures of the notebooks; no mathematics in here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .arguments import alike, whole
from .pictures import to_floats

DPI = 80
# Okabe and Ito's eight colours, told apart by colour-blind readers too
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")


def style() -> None:
    """Sets matplotlib's defaults for the course: colours, sizes, no boxes around pictures."""
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "axes.prop_cycle": plt.cycler(color=COLORS),
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.constrained_layout.use": True,
            "image.interpolation": "nearest",
        }
    )


def to_pixels(image: Tensor):
    """One image (C, H, W) in [−1, 1] as an array (H, W, 3 or 1) in [0, 1]; what lies outside is cut.

    Pixels of 0…255 (uint8) are taken as such. Raises TypeError for other whole numbers.
    """
    alike(image=image)
    if image.ndim != 3:
        raise ValueError(f"An image to show is (C, H, W), not {tuple(image.shape)}.")
    if image.dtype == torch.uint8:
        image = to_floats(image)
    elif not image.is_floating_point() and image.dtype != torch.bool:
        raise TypeError(f"An image to show is a float in [−1, 1] or uint8, not {image.dtype}.")
    return (image.detach().float().cpu().clamp(-1, 1) / 2 + 0.5).permute(1, 2, 0).numpy()


def show_images(
    images: Tensor | Sequence[Tensor],
    titles: Sequence[str] | None = None,
    columns: int = 8,
    side: float = 1.1,
    title: str | None = None,
    show: bool = True,
):
    """A grid of images (N, C, H, W) in [−1, 1], `side` inches each, with a title above each if given."""
    import matplotlib.pyplot as plt

    if not isinstance(images, (Sequence, Tensor)) or isinstance(images, str):
        raise TypeError(f"Images to show are tensors (C, H, W), not a {type(images).__name__}.")
    if isinstance(images, Tensor):
        alike(images=images)
    if len(images) < 1:
        raise ValueError("There are no images to show.")
    for image in images:
        alike(image=image)
    if images[0].ndim != 3:
        raise ValueError(f"Images to show are (N, C, H, W); the first of these is {tuple(images[0].shape)}.")
    if titles and len(titles) != len(images):
        raise ValueError(f"There are {len(images)} images but {len(titles)} titles.")
    columns = min(whole(columns, "columns"), len(images))
    rows = math.ceil(len(images) / columns)
    height = rows * (side + (0.24 if titles else 0.03)) + (0.3 if title else 0)
    fig, axes = plt.subplots(
        rows, columns, figsize=(columns * side, height), dpi=DPI, squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, image) in enumerate(
        zip(axes.flat, images, strict=False)
    ):  # the last row may have empty places
        ax.imshow(to_pixels(image), cmap="gray", vmin=0, vmax=1)
        if titles:
            ax.set_title(titles[i], fontsize=9, pad=2)
    if title:
        fig.suptitle(title, fontsize=10)
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    if show:
        plt.show()
    return fig


def filmstrip(images: Sequence[Tensor], titles: Sequence[str], rows: int = 1, **options):
    """Pictures of one thing changing, in one row, or row after row where `rows` is more."""
    return show_images(
        torch.stack([i.squeeze(0) if i.ndim == 4 else i for i in images]),
        titles,
        columns=math.ceil(len(images) / rows),
        **options,
    )


def scatter(
    points: Sequence[Tensor], titles: Sequence[str], limit: float = 2.5, side: float = 1.8, color=COLORS[0]
):
    """Clouds of points (N, 2) side by side, each on axes from −limit to limit; returns the axes."""
    import matplotlib.pyplot as plt

    if not len(points) or len(titles) != len(points):
        raise ValueError(f"There are {len(points)} clouds of points but {len(titles)} titles.")
    fig, axes = plt.subplots(
        1, len(points), figsize=(side * len(points), side + 0.25), dpi=DPI, squeeze=False
    )
    for ax, cloud, title in zip(axes[0], points, titles, strict=True):
        ax.scatter(*cloud.detach().cpu().T, s=2, color=color, alpha=0.5, linewidths=0)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
        ax.set_title(title, fontsize=9)
    return axes[0]
