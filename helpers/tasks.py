"""What is known of a picture and what must be invented: holes, damage, and a model that repairs (Palette)."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from .arguments import alike, check_floats, check_hole, check_images, whole
from .diffusion import add_noise, noise_like
from .pictures import as_file, to_tensor
from .schedules import Schedule
from .targets import eps_from_x0

HOLES = ("centre", "half", "boxes", "brush", "border")
TASKS = ("inpaint", "uncrop", "colourise", "super_resolve", "jpeg")


def make_holes(kind: str, n: int, size: int, generator: torch.Generator | None = None) -> Tensor:
    """n holes of one kind: bool (n, 1, size, size), True where the picture is unknown.

    'centre': the middle square of half the side; 'half': one of the four halves; 'boxes': one to four
    rectangles; 'brush': free-form strokes (Gated Convolution, Yu et al. 2019); 'border': all around
    a middle square of half the side, or one side of it (Palette, uncropping).
    """
    if kind not in HOLES:
        raise ValueError(f"There are no holes of kind '{kind}'; choose one of {', '.join(HOLES)}.")
    n, size = whole(n, "n"), whole(size, "size", 8)

    def number(low, high):  # low … high − 1
        return int(torch.randint(low, high, (), generator=generator))

    holes = torch.zeros(n, 1, size, size, dtype=torch.bool)
    quarter, half = size // 4, size // 2
    for hole in holes[:, 0]:
        if kind == "centre":
            hole[quarter : quarter + half, quarter : quarter + half] = True
        elif kind == "half":
            (hole, hole.T)[number(0, 2)][_side(number(0, 2), half)] = True
        elif kind == "boxes":
            for _ in range(number(1, 5)):
                h, w = number(size // 8, half), number(size // 8, half)
                top, left = number(0, size - h + 1), number(0, size - w + 1)
                hole[top : top + h, left : left + w] = True
        elif kind == "brush":
            hole |= _strokes(size, number)
        elif (side := number(0, 5)) == 4:
            hole |= True
            hole[quarter : quarter + half, quarter : quarter + half] = False
        else:
            (hole, hole.T)[side // 2][_side(side % 2, half)] = True
    return holes


def _side(end: int, width: int) -> slice:
    return slice(-width, None) if end else slice(0, width)


def _strokes(size: int, number: Callable) -> Tensor:
    """One to three strokes of a thick brush that turns as it goes, bool (size, size)."""
    image = Image.new("1", (size, size))
    pen = ImageDraw.Draw(image)
    for _ in range(number(1, 4)):
        width = number(size // 12 + 1, size // 5 + 2)
        x, y, angle = number(0, size), number(0, size), number(0, 360)
        for _ in range(number(3, 8)):
            angle += number(-100, 101)
            length = number(size // 8, size // 3)
            end = (
                int(np.clip(x + length * np.cos(np.radians(angle)), 0, size - 1)),
                int(np.clip(y + length * np.sin(np.radians(angle)), 0, size - 1)),
            )
            pen.line((x, y, *end), fill=1, width=width)
            pen.ellipse([c + s * width / 2 for s in (-1, 1) for c in end], fill=1)
            x, y = end
    return torch.from_numpy(np.array(image))


def cut(x0: Tensor, hole: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """x0 (B, C, H, W) with standard Gaussian noise in the hole, bool (B or 1, 1, H, W) (Palette, inpainting).

    Raises ValueError where picture and hole differ in size.
    """
    hole = check_hole(hole, check_images(x0, "x0"))
    return torch.where(hole, noise_like(x0, generator), x0)


def grey(x0: Tensor) -> Tensor:
    """The brightness (ITU-R BT.601) of x0 (B, 3, H, W), repeated to three channels."""
    alike(x0=x0)
    return (x0 * x0.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True).expand_as(x0)


def shrink(x0: Tensor, factor: int = 4) -> Tensor:
    """x0 (B, C, H, W) at 1/factor of its side, each pixel the mean of factor×factor.

    Raises ValueError where a side is not divisible by the factor.
    """
    check_floats(x0, "x0")
    h, w = x0.shape[-2:]
    factor = whole(factor, "factor")
    if h % factor or w % factor:
        raise ValueError(f"A picture of {h}×{w} cannot be shrunk by {factor}: take sides divisible by it.")
    return F.avg_pool2d(x0, factor)


def enlarge(small: Tensor, factor: int = 4) -> Tensor:
    """Bicubic enlargement, kept in [−1, 1]; (B, C, h, w) → (B, C, factor·h, factor·w)."""
    check_floats(small, "small")
    factor = whole(factor, "factor")
    if small.ndim != 4:
        raise ValueError(f"A picture to enlarge is (B, C, h, w), not {tuple(small.shape)}.")
    return F.interpolate(small, scale_factor=factor, mode="bicubic", align_corners=False).clamp(-1, 1)


def noisy_large(
    small: Tensor, schedule: Schedule, s: Tensor, generator: torch.Generator | None = None, factor: int = 4
) -> Tensor:
    """What a second stage sees of small (B, C, h, w), noised to step s (Cascaded Diffusion, section 3.3).

    s (B,) counts the steps of `schedule`. Answers (B, C + 1, factor·h, factor·w), each pixel repeated; the
    last channel tells the network noise_s.
    """
    check_floats(small, "small")
    factor = whole(factor, "factor")
    noise = schedule.at(s, like=small)[1].expand_as(small[:, :1])
    noisy = add_noise(schedule, small, s, noise_like(small, generator))
    return F.interpolate(torch.cat([noisy, noise], 1), scale_factor=factor)


def jpeg(x0: Tensor, quality: int | Tensor) -> Tensor:
    """x0 (B, 3, H, W) in [−1, 1] after JPEG of this quality, 1…95, one for all or one for each.

    Raises ValueError for another quality.
    """
    if check_images(x0, "x0").ndim != 4 or not len(x0):
        raise ValueError(f"x0 must be (B, 3, H, W), B ≥ 1, not {tuple(x0.shape)}.")
    quality = torch.as_tensor(quality).expand(len(x0)).tolist()
    if not all(1 <= q <= 95 for q in quality):
        raise ValueError(f"The quality of a JPEG is 1…95, not {min(quality)} to {max(quality)}.")
    pixels = ((x0 + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    after = []
    for picture, q in zip(pixels, quality, strict=True):
        file = as_file(Image.fromarray(picture), "JPEG", quality=int(q))
        after.append(np.asarray(Image.open(io.BytesIO(file))))
    return to_tensor(after).to(x0) / 127.5 - 1


def damage(
    task: str, x0: Tensor, generator: torch.Generator | None = None, hole: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(y, hole): what a model is shown of x0 (B, 3, H, W) for one of TASKS.

    y (B, 3, H, W) is known where hole, bool (B, 1, H, W), is False; colourise, super_resolve (×4) and
    jpeg (quality 5 to 30) change the whole picture, so there the hole is everything. Holes are random
    unless given, for square pictures. Drawn on the CPU, from a generator of any device.
    """
    if task not in TASKS:
        raise ValueError(f"There is no task '{task}'; choose one of {', '.join(TASKS)}.")
    check_images(x0, "x0")
    if x0.ndim != 4 or (task in ("colourise", "jpeg") and x0.shape[1] != 3):
        raise ValueError(f"For '{task}' x0 must be (B, 3, H, W), not {tuple(x0.shape)}.")
    if generator is not None and generator.device.type != "cpu":
        number = torch.randint(2**31, (), generator=generator, device=generator.device)
        generator = torch.Generator().manual_seed(int(number))
    if task in ("inpaint", "uncrop"):
        if hole is None:
            if x0.shape[-1] != x0.shape[-2]:
                raise ValueError(f"Random holes are for square pictures, not {tuple(x0.shape)}: give a hole.")
            kinds = HOLES[:4] if task == "inpaint" else ("border",)
            pick = torch.randint(len(kinds), (len(x0),), generator=generator).tolist()
            hole = torch.cat([make_holes(kinds[k], 1, x0.shape[-1], generator) for k in pick])
        hole = check_hole(hole, x0)
        return cut(x0.cpu(), hole.cpu(), generator).to(x0.device), hole.to(x0.device)
    everything = torch.ones_like(x0[:, :1], dtype=torch.bool)
    if task == "colourise":
        return grey(x0), everything
    if task == "super_resolve":
        return enlarge(shrink(x0)), everything
    return jpeg(x0, torch.randint(5, 31, (len(x0),), generator=generator)), everything


def restore(predict: Callable, schedule: Schedule, y: Tensor, hole: Tensor) -> Callable:
    """`predict` of a Palette model for y (B, C, H, W) and its hole, bool (B, 1, H, W): known pixels stay.

    The answer is a denoiser like any other: the network sees y beside x_t, its x_t equals y outside the
    hole (Palette, inpainting), and so does the x0 that comes back, with the ε that leads from there to
    x_t. So every sampler fills holes. t ≥ 1.
    """

    alike(y=y)
    hole = check_hole(hole, y)

    def restored(x_t: Tensor, t: Tensor, **condition) -> tuple[Tensor, Tensor]:
        alike(x_t=x_t[:0], y=y[:0])
        x0 = torch.where(hole, predict(torch.where(hole, x_t, y), t, image=y, **condition)[0], y)
        return x0, eps_from_x0(schedule, x_t, x0, torch.as_tensor(t, device=x_t.device))

    return restored
