"""What to learn from, by name: drawn faces, CelebA, digits, points in the plane."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .arguments import whole
from .celeba import HUB, SPLITS, NotFound, sources
from .pictures import Faces, load_picture, photograph, square, to_tensor
from .profile import DATA

__all__ = ["Faces", "load_digits", "load_faces", "load_picture", "load_points", "photograph", "POINTS"]


def load_faces(
    name: str = "embedded",
    split: str = "train",
    size: int = 64,
    limit: int | None = None,
    folder: str | Path | None = None,
) -> Faces:
    """Faces by name: 'embedded' (drawn, in this repository), 'celeba' or 'celeba-hq'.

    The last two come from `folder` (or $CELEBA, or data/celeba…) in the official layout, else from a Hub
    mirror, streamed; CelebA also through torchvision. Pictures are cut to the centre square and resized
    to size × size. Raises ValueError for an unknown name or split, FileNotFoundError where none can be
    had, naming everything that was tried. Nothing is ever replaced by another data set.
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split '{split}'; choose one of {', '.join(SPLITS)}.")
    size, limit = whole(size, "size"), None if limit is None else whole(limit, "limit")
    if name == "embedded":
        return _embedded(split, size, limit)
    if name not in HUB:
        raise ValueError(f"There are no faces called '{name}'; choose 'embedded', 'celeba' or 'celeba-hq'.")
    folder = Path(folder or os.environ.get("CELEBA") or DATA / name).expanduser()
    tried = []
    for what, load in sources(name, folder, split, size, limit):
        try:
            faces = load()
            print(f"{len(faces)} faces of {name} ({split}) from {what}.")
            return faces
        except NotFound as error:
            tried.append(f"{what}: {error}")
    raise FileNotFoundError(
        f"{name} could not be had. Tried "
        + "; ".join(tried)
        + ". Put the official files into the folder, or use load_faces('embedded')."
    )


def _embedded(split, size, limit) -> Faces:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = DATA / "faces.parquet"
    if not path.exists():
        raise FileNotFoundError(f"The embedded faces are missing ({path}): run `make faces` to draw them.")
    try:
        table = pq.read_table(path, filters=[("split", "==", split)])[:limit]
    except (pa.ArrowInvalid, OSError) as error:
        raise RuntimeError(
            f"The embedded faces cannot be read ({path} has {path.stat().st_size:,} bytes: cut short, or a "
            "pointer of Git LFS?): `git checkout data/faces.parquet` or `make faces` brings them back."
        ) from error
    pictures = [
        square(Image.open(io.BytesIO(b)), size)
        for b in table["image"].combine_chunks().field("bytes").to_pylist()
    ]
    names, values, columns = [], {}, []
    for field in table.schema:
        if field.name in ("image", "index", "split", "unseen", "captions"):
            continue
        column = table[field.name].to_pylist()
        values[field.name] = (False, True) if isinstance(column[0], bool) else FACE_VALUES[field.name]
        columns.append([values[field.name].index(v) for v in column])
        names.append(field.name)
    return Faces(
        "embedded",
        split,
        to_tensor(pictures),
        torch.tensor(columns, dtype=torch.int8).T.contiguous(),
        tuple(names),
        values,
        table["captions"].to_pylist(),
        tuple(table["index"].to_pylist()),
        torch.tensor(table["unseen"].to_pylist()),
    )


_COLORS = ("black", "brown", "blond", "red", "gray", "blue")
# The order is part of every checkpoint trained on these faces, so it is written down here.
FACE_VALUES = {
    "hair_style": ("bald", "short", "quiff", "mohawk", "shaggy", "curly", "bun", "bob", "long", "hidden"),
    "hair_color": ("none", *_COLORS),
    "skin_color": ("pale", "light", "medium", "tan", "brown", "dark"),
    "clothing": ("t-shirt", "hoodie", "sweater"),
    "clothing_color": ("red", "yellow", "green", "blue", "purple", "black"),
    "background_color": ("pink", "yellow", "green", "blue", "purple", "gray"),
    "eyes": ("open", "closed", "wink", "hidden"),
    "eyebrows": ("flat", "raised"),
    "mouth": ("smile", "serious", "sad"),
    "facial_hair": ("none", "beard", "moustache"),
    "facial_hair_color": ("none", *_COLORS),
    "glasses": ("none", "round", "sunglasses"),
    "hat": ("none", "beanie", "turban"),
}


def load_digits(size: int = 16) -> tuple[Tensor, Tensor]:
    """Handwritten digits of scikit-learn: images (1797, 1, size, size) in [−1, 1], 17 levels; labels (1797,).

    The 8×8 pictures are repeated to size × size, so size must be a multiple of 8.
    """
    from sklearn import datasets

    if (size := whole(size, "size")) % 8:
        raise ValueError(f"The digits are 8×8; size must be a multiple of 8, not {size}.")
    digits = datasets.load_digits()
    images = torch.from_numpy(digits.images).float()[:, None] / 8 - 1  # (N, 1, 8, 8), 0…16 → −1…1
    return images.repeat_interleave(size // 8, 2).repeat_interleave(size // 8, 3), torch.from_numpy(
        digits.target
    )


def load_points(name: str, n: int = 2000, seed: int = 0) -> Tensor:
    """Points in the plane (n, 2), each coordinate of about unit size: one of POINTS."""
    if name not in POINTS:
        raise ValueError(f"There are no points called '{name}'; choose one of {', '.join(POINTS)}.")
    rng = np.random.default_rng(whole(seed, "seed", 0))
    return torch.from_numpy(POINTS[name](whole(n, "n"), rng)).float()


def _swiss_roll(n, rng):
    angle = 1.5 * np.pi * (1 + 2 * rng.random(n))
    roll = np.stack([angle * np.cos(angle), angle * np.sin(angle)], 1)
    return (roll + 0.3 * rng.normal(size=(n, 2))) / 7


def _moons(n, rng):
    angle, side = np.pi * rng.random(n), rng.integers(0, 2, n)
    arc = np.stack([np.cos(angle), np.sin(angle)], 1)
    points = np.where(side[:, None] == 0, arc, [1, 0.5] - arc)
    return (points - [0.5, 0.25] + 0.07 * rng.normal(size=(n, 2))) * 1.4


def _eight_gaussians(n, rng):
    angle = rng.integers(0, 8, n) * np.pi / 4
    return 1.4 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * rng.normal(size=(n, 2))


def _pinwheel(n, rng):
    blade = rng.integers(0, 5, n)
    along, across = 1 + 0.3 * rng.normal(size=n), 0.1 * rng.normal(size=n)
    angle = blade * 2 * np.pi / 5 + 0.25 * np.exp(along)
    turned = np.stack(
        [along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)], 1
    )
    return 1.2 * turned


POINTS = {
    "swiss_roll": _swiss_roll,
    "moons": _moons,
    "eight_gaussians": _eight_gaussians,
    "pinwheel": _pinwheel,
}
