"""Many picture files at once, as one tensor; a set that is too large for the memory is mapped into it."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .files import replacing
from .pictures import square, to_tensor
from .profile import BUILD

LARGE = 500_000_000  # bytes of pictures that are no longer simply held in memory


def read_all(paths: list[Path], size: int, crop=None) -> Tensor:
    """The pictures of these files, uint8 (N, 3, size, size).

    A set of more than LARGE bytes is kept beside what is trained here and mapped into memory from there:
    it takes no more memory than what is looked at, and the second time it is there at once.
    """
    from tqdm.auto import tqdm

    pictures = (read(path, size, crop) for path in tqdm(paths, "pictures", leave=False, delay=5))
    shape = (len(paths), 3, size, size)
    if math.prod(shape) <= LARGE:
        return to_tensor(pictures, len(paths))
    first, last = paths[0].stat(), paths[-1].stat()
    about = [size, crop, *map(str, paths), first.st_mtime_ns, last.st_mtime_ns, first.st_size, last.st_size]
    file = BUILD.parent / "cache" / f"{hashlib.sha256(repr(about).encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        with replacing(file) as half:
            store = np.lib.format.open_memmap(half, mode="w+", dtype=np.uint8, shape=shape)
            to_tensor(pictures, len(paths), store)
            store.flush()
    return torch.from_numpy(np.load(file, mmap_mode="c"))  # "c": what is written to it stays in memory


def cut_square(image: Image.Image, size: int, crop=None) -> np.ndarray:
    """`square` of a picture, of its crop where it has the size of the aligned pictures."""
    return square(image.crop(crop) if crop and image.size == (178, 218) else image, size)


def read(path: Path, size: int, crop=None) -> np.ndarray:
    try:
        image = Image.open(path)
        return cut_square(image, size, crop)
    except (OSError, SyntaxError) as error:
        raise ValueError(
            f"{path} cannot be read as a picture ({error}): it is damaged; fetch it again."
        ) from None
