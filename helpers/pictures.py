"""Pictures as tensors: a set of faces with what is known of them, and any picture of one's own."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor


@dataclass(frozen=True)
class Faces:
    """Pictures with what is known of them; `faces[indices]` is a batch for training.

    pixels: uint8 (N, 3, size, size). attributes: int8 (N, A), column a holding a position in
    values[names[a]]; for CelebA's attributes that is 0 = no, 1 = yes. captions: N lists of sentences.
    """

    source: str
    split: str
    pixels: Tensor
    attributes: Tensor
    names: tuple[str, ...]
    values: dict[str, tuple]
    captions: list[list[str]]
    ids: tuple
    unseen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index) -> dict[str, Tensor]:
        """{'image': float in [−1, 1], 'attributes': long} of one index, a slice or a tensor of indices."""
        return {"image": to_floats(self.pixels[index]), "attributes": self.attributes[index].long()}

    @property
    def images(self) -> Tensor:
        """All pictures as floats in [−1, 1], (N, 3, size, size): four times the memory of `pixels`."""
        return to_floats(self.pixels)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each attribute has, (A,)."""
        return tuple(len(self.values[name]) for name in self.names)

    def column(self, name: str) -> Tensor:
        """The values (N,) of the attribute `name`, as positions in values[name]."""
        return self.attributes[:, self.position(name)].long()

    def position(self, name: str) -> int:
        if name not in self.names:
            raise ValueError(f"There is no attribute '{name}'; these faces have {', '.join(self.names)}.")
        return self.names.index(name)

    def ask(self, count: int = 1, **wanted) -> Tensor:
        """A condition (count, A): the wanted values, e.g. Eyeglasses=True; all else is left open (−1)."""
        row = torch.full((len(self.names),), -1, dtype=torch.long)
        for name, value in wanted.items():
            choices = self.values[name] if name in self.values else ()
            place = self.position(name)
            if value not in choices:
                raise ValueError(f"{name} can be {', '.join(map(str, choices))}, not {value}.")
            row[place] = choices.index(value)
        return row.expand(count, -1).clone()

    def take(self, indices) -> Faces:
        """The faces at these positions, in this order, or those where a bool mask (N,) is True.

        Raises IndexError for positions that do not exist, TypeError for what counts no faces.
        """
        indices = positions(indices, len(self))
        return replace(
            self,
            pixels=self.pixels[indices],
            attributes=self.attributes[indices],
            captions=[self.captions[i] for i in indices.tolist()] if self.captions else [],
            ids=tuple(self.ids[i] for i in indices.tolist()),
            unseen=None if self.unseen is None else self.unseen[indices],
        )


def positions(indices, n: int) -> Tensor:
    """Positions (K,) in 0…n − 1 as long, from a list, array, range, tensor of positions or a bool mask (n,).

    Raises IndexError for what lies outside or a mask of another length, TypeError for fractions and texts.
    """
    indices = torch.as_tensor(indices if isinstance(indices, Tensor) else np.asarray(indices))
    if indices.dtype == torch.bool:
        if indices.shape != (n,):
            raise IndexError(f"A mask needs one entry for each of the {n} faces, not {tuple(indices.shape)}.")
        return indices.nonzero()[:, 0]
    if indices.numel() and (indices.is_floating_point() or indices.is_complex()):
        raise TypeError(f"Positions are whole numbers, not {indices.dtype}.")
    indices = indices.reshape(-1).long()
    if indices.numel() and not -n <= int(indices.min()) <= int(indices.max()) < n:
        raise IndexError(
            f"There are {n} faces, but positions from {indices.min()} to {indices.max()} are asked."
        )
    return indices % max(n, 1)


def square(image: Image.Image, size: int) -> np.ndarray:
    """The centre square of a picture, resized: uint8 (size, size, 3); transparency becomes white."""
    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion would cut everything above 255
        image = Image.fromarray((np.asarray(image) / 257).round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
    return np.asarray(image)


def to_tensor(
    pictures: Iterable[np.ndarray], n: int | None = None, store: np.ndarray | None = None
) -> Tensor:
    """uint8 arrays (H, W, 3) → one tensor uint8 (N, 3, H, W), in the array `store` if it is given.

    With n, their number, each is laid in its place as it comes, and no more than one is held twice.
    """
    if n is None:
        pictures = list(pictures)
        n = len(pictures)
    for i, picture in enumerate(pictures):
        if store is None:
            store = np.empty((n, 3, *picture.shape[:2]), np.uint8)
        store[i] = picture.transpose(2, 0, 1)
    return torch.from_numpy(store)


def to_floats(pixels: Tensor) -> Tensor:
    """uint8 of 0…255 → float32 in [−1, 1]."""
    return pixels.float().div_(127.5).sub_(1)


def load_picture(source, size: int = 64) -> Tensor:
    """Any picture of one's own, a path or the bytes of a file: float (1, 3, size, size) in [−1, 1].

    Its centre square, resized; a line says so where the size was another. Raises ValueError for what
    cannot be read as a picture, FileNotFoundError for a missing file.
    """
    try:
        if isinstance(source, str):
            source = Path(source).expanduser()
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        image = ImageOps.exif_transpose(image)
        pixels = square(image, size)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no picture at {source}.") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        what = "These bytes" if isinstance(source, bytes) else source
        raise ValueError(
            f"{what} cannot be read as a picture ({error}): save it again as PNG or JPEG."
        ) from None
    if image.size != (size, size):
        print(f"The picture is {image.width}×{image.height}; its centre square is used, as {size}×{size}.")
    return to_floats(to_tensor([pixels]))


def as_file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    """The bytes of a picture file of this kind; `options` are Pillow's."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def odd_files() -> dict[str, bytes]:
    """Picture files that people do bring and programs forget, by name: to be tried on any function."""
    return {
        "see-through": as_file(Image.new("RGBA", (64, 64), (255, 0, 0, 0))),
        "grey": as_file(Image.new("L", (64, 64), 128)),
        "one pixel": as_file(Image.new("RGB", (1, 1), "red")),
        "very large": as_file(Image.new("RGB", (8000, 6000), "red"), "JPEG"),
        "damaged": as_file(Image.new("RGB", (64, 64)))[:40],
    }


def photograph(size: int = 64) -> Tensor:
    """The astronaut Eileen Collins (NASA, public domain): float (1, 3, size, size) in [−1, 1]."""
    from skimage import data

    return to_floats(to_tensor([square(Image.fromarray(data.astronaut()[0:200, 124:324]), size)]))
