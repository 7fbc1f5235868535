"""Pictures to learn from: drawn faces, CelebA, digits, points in the plane, a photograph."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

DATA = Path(__file__).resolve().parent.parent / "data"
SPLITS = ("train", "valid", "test")
HUB = {  # repository, columns of the picture and its text, our split → theirs, None where there is none
    "celeba": ("flwrlabs/celeba", "image", None, {"train": "train", "valid": "valid", "test": "test"}),
    "celeba-hq": ("Ryan-sjtu/celebahq-caption", "image", "text", {"train": "train"}),
}


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
        return {"image": self.pixels[index].float() / 127.5 - 1, "attributes": self.attributes[index].long()}

    @property
    def images(self) -> Tensor:
        """All pictures as floats in [−1, 1], (N, 3, size, size)."""
        return self.pixels.float() / 127.5 - 1

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
        """A condition (count, A): the wanted values by name, e.g. Eyeglasses=True, all else left open (−1)."""
        row = torch.full((len(self.names),), -1, dtype=torch.long)
        for name, value in wanted.items():
            choices = self.values[name] if name in self.values else ()
            place = self.position(name)
            if value not in choices:
                raise ValueError(f"{name} can be {', '.join(map(str, choices))}, not {value}.")
            row[place] = choices.index(value)
        return row.expand(count, -1).clone()

    def describe(self, index: int) -> dict:
        """The attributes of one face in words."""
        return {n: self.values[n][int(v)] for n, v in zip(self.names, self.attributes[index], strict=True)}

    def take(self, indices) -> Faces:
        """The faces at these positions, in this order."""
        indices = torch.as_tensor(indices)
        return replace(
            self, pixels=self.pixels[indices], attributes=self.attributes[indices],
            captions=[self.captions[i] for i in indices.tolist()] if self.captions else [],
            ids=tuple(self.ids[i] for i in indices.tolist()),
            unseen=None if self.unseen is None else self.unseen[indices])


def load_faces(
    name: str = "embedded", split: str = "train", size: int = 64, limit: int | None = None,
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
    if size < 1 or (limit is not None and limit < 1):
        raise ValueError(f"size and limit must be at least 1, not {size} and {limit}.")
    if name == "embedded":
        return _embedded(split, size, limit)
    if name not in HUB:
        raise ValueError(f"There are no faces called '{name}'; choose 'embedded', 'celeba' or 'celeba-hq'.")
    folder = Path(folder or os.environ.get("CELEBA") or DATA / name)
    sources = [(f"the folder {folder}", lambda: _folder(name, folder, split, size, limit)),
               (f"the Hub mirror {HUB[name][0]}", lambda: _hub(name, split, size, limit))]
    if name == "celeba":
        sources.append(("torchvision's download", lambda: _torchvision(folder, split, size, limit)))
    tried = []
    for what, load in sources:
        try:
            faces = load()
            print(f"{len(faces)} faces of {name} ({split}) from {what}.")
            return faces
        except NotFound as error:
            tried.append(f"{what}: {error}")
    raise FileNotFoundError(f"{name} could not be had. Tried " + "; ".join(tried)
                            + ". Put the official files into the folder, or use load_faces('embedded').")


class NotFound(Exception):
    """This source does not have the data; the next one may."""


def square(image: Image.Image, size: int) -> np.ndarray:
    """The centre square of a picture, resized: uint8 (size, size, 3); transparency becomes white."""
    if image.mode in ("RGBA", "LA", "P", "PA"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
    return np.asarray(image)


def load_picture(source, size: int = 64) -> Tensor:
    """Any picture of one's own, a path or the bytes of a file: float (1, 3, size, size) in [−1, 1].

    Raises ValueError for what cannot be read as a picture, FileNotFoundError for a missing file.
    """
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        pixels = square(image, size)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no picture at {source}.") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        what = "These bytes" if isinstance(source, bytes) else source
        raise ValueError(f"{what} cannot be read as a picture ({error}): save it again as PNG or JPEG.") from None
    return to_tensor([pixels]).float() / 127.5 - 1


def to_tensor(pictures: list[np.ndarray]) -> Tensor:
    """uint8 arrays (H, W, 3) → one tensor uint8 (N, 3, H, W)."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def _embedded(split, size, limit) -> Faces:
    import pyarrow.parquet as pq

    path = DATA / "faces.parquet"
    if not path.exists():
        raise FileNotFoundError(f"The embedded faces are missing ({path}): run `make faces` to draw them.")
    table = pq.read_table(path, filters=[("split", "==", split)])[:limit]
    pictures = [square(Image.open(io.BytesIO(b)), size)
                for b in table["image"].combine_chunks().field("bytes").to_pylist()]
    names, values, columns = [], {}, []
    for field in table.schema:
        if field.name in ("image", "index", "split", "unseen", "captions"):
            continue
        column = table[field.name].to_pylist()
        values[field.name] = (False, True) if isinstance(column[0], bool) else FACE_VALUES[field.name]
        columns.append([values[field.name].index(v) for v in column])
        names.append(field.name)
    return Faces("embedded", split, to_tensor(pictures), torch.tensor(columns, dtype=torch.int8).T.contiguous(),
                 tuple(names), values, table["captions"].to_pylist(), tuple(table["index"].to_pylist()),
                 torch.tensor(table["unseen"].to_pylist()))


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


def _folder(name, folder, split, size, limit) -> Faces:
    """CelebA in the official layout, or a folder of CelebA-HQ pictures with captions."""
    if not folder.is_dir():
        raise NotFound("it does not exist")
    return (_celeba_folder if name == "celeba" else _celebahq_folder)(folder, split, size, limit)


def _lines(path: Path) -> list[str]:
    """The lines of an official text file, Windows line ends or not."""
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is missing in {path.parent}: CelebA needs it beside "
                                "img_align_celeba; it comes with the official download.")
    return path.read_text(encoding="utf-8").splitlines()


def _celeba_folder(folder, split, size, limit) -> Faces:
    pictures = folder / "img_align_celeba"
    if not pictures.is_dir():
        raise NotFound("it has no img_align_celeba")
    count, header, *rows = _lines(folder / "list_attr_celeba.txt")
    names, rows = tuple(header.split()), [row.split() for row in rows if row.strip()]
    if not count.strip().isdigit() or int(count) != len(rows):
        raise ValueError(f"list_attr_celeba.txt says {count.strip()} pictures but lists {len(rows)}: "
                         "it was cut off or changed; fetch it again.")
    if any(len(row) != len(names) + 1 for row in rows):
        raise ValueError(f"list_attr_celeba.txt has a line without {len(names)} values: fetch it again.")
    part = dict(line.split() for line in _lines(folder / "list_eval_partition.txt") if line.strip())
    wanted = str(SPLITS.index(split))
    rows = [row for row in rows if part.get(row[0]) == wanted]
    there = {entry.name for entry in os.scandir(pictures)}
    have = [row for row in rows if row[0] in there]
    if len(have) < len(rows):
        print(f"{len(rows) - len(have):,} of the {len(rows):,} {split} pictures are not in {pictures}; "
              "the others are used.")
    if not have:
        raise NotFound(f"img_align_celeba has no picture of the {split} partition")
    have = have[:limit]
    return Faces("celeba", split, to_tensor([_read(pictures / row[0], size, CELEBA_CROP) for row in have]),
                 torch.tensor([[int(v) > 0 for v in row[1:]] for row in have], dtype=torch.int8), names,
                 {n: (False, True) for n in names}, [], tuple(row[0] for row in have))


def _celebahq_folder(folder, split, size, limit) -> Faces:
    """Pictures in images_1024/ named by CelebA number, captions in captions_celebahq.tsv(.gz)."""
    import pandas as pd

    table = next((p for p in sorted(folder.glob("captions_celebahq.tsv*"))), None)
    if table is None or not (folder / "images_1024").is_dir():
        raise NotFound("it has no images_1024 beside captions_celebahq.tsv")
    captions = dict(pd.read_csv(table, sep="\t")[["orig_file", "caption"]].itertuples(index=False))
    every = sorted((folder / "images_1024").glob("*.jpg"))
    # CelebA-HQ has no official split: one picture in ten, by its number, is held out for each of two
    kinds = {0: "valid", 1: "test"}
    paths = [p for p in every if kinds.get(int(p.stem) % 10, "train") == split][:limit]
    if not paths:
        raise NotFound(f"images_1024 has no picture for the {split} split")
    return Faces("celeba-hq", split, to_tensor([_read(p, size) for p in paths]),
                 torch.zeros(len(paths), 0, dtype=torch.int8), (), {},
                 [[captions[p.name]] if p.name in captions else [] for p in paths],
                 tuple(p.name for p in paths))


# The crop of the DDIM paper's code for CelebA 64×64: 128×128 around (89, 121) of the aligned 178×218.
CELEBA_CROP = (25, 57, 153, 185)


def _read(path: Path, size: int, crop=None) -> np.ndarray:
    try:
        image = Image.open(path)
        return square(image.crop(crop) if crop and image.size == (178, 218) else image, size)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read as a picture ({error}): it is damaged; fetch it again.") from None


def _hub(name, split, size, limit) -> Faces:
    """A mirror on the Hugging Face Hub, streamed: only the pictures asked for are fetched."""
    from datasets import load_dataset

    repository, image, text, splits = HUB[name]
    if split not in splits:
        raise NotFound(f"it has no {split} split")
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise NotFound("HF_HUB_OFFLINE=1 forbids the network")
    try:
        stream = load_dataset(repository, split=splits[split], streaming=True)
        rows = list(stream.take(limit) if limit else stream)
    except Exception as error:      # the Hub client raises many kinds; the reader is told which
        raise NotFound(f"{type(error).__name__}") from error
    return from_rows(name, split, rows, size, image, text)


def from_rows(source: str, split: str, rows: list[dict], size: int, image: str, text: str | None) -> Faces:
    """Faces from rows of a `datasets` table: pictures, boolean columns as attributes, one text column."""
    names = tuple(k for k, v in rows[0].items() if isinstance(v, bool))
    crop = CELEBA_CROP if source == "celeba" else None
    pictures = [square(r[image].crop(crop) if crop and r[image].size == (178, 218) else r[image], size)
                for r in rows]
    return Faces(source, split, to_tensor(pictures),
                 torch.tensor([[r[n] for n in names] for r in rows], dtype=torch.int8).view(len(rows), len(names)),
                 names, {n: (False, True) for n in names}, [[r[text]] for r in rows] if text else [],
                 tuple(range(len(rows))))


def _torchvision(folder, split, size, limit) -> Faces:
    from torchvision.datasets import CelebA

    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise NotFound("HF_HUB_OFFLINE=1 forbids the network")
    try:
        CelebA(folder.parent, split=split, download=True)       # puts the official layout into …/celeba
    except Exception as error:      # the Drive link fails in many ways; the reader is told which
        raise NotFound(f"{type(error).__name__}") from error
    return _celeba_folder(folder.parent / "celeba", split, size, limit)


def load_digits(size: int = 16) -> tuple[Tensor, Tensor]:
    """Handwritten digits of scikit-learn: images (1797, 1, size, size) in [−1, 1], 17 levels; labels (1797,).

    The 8×8 pictures are repeated to size × size, so size must be a multiple of 8.
    """
    from sklearn import datasets

    if size % 8:
        raise ValueError(f"The digits are 8×8; size must be a multiple of 8, not {size}.")
    digits = datasets.load_digits()
    images = torch.from_numpy(digits.images).float()[:, None] / 8 - 1           # (N, 1, 8, 8), 0…16 → −1…1
    return images.repeat_interleave(size // 8, 2).repeat_interleave(size // 8, 3), torch.from_numpy(digits.target)


def load_points(name: str, n: int = 2000, seed: int = 0) -> Tensor:
    """Points in the plane (n, 2), each coordinate of about unit size: one of POINTS."""
    if name not in POINTS:
        raise ValueError(f"There are no points called '{name}'; choose one of {', '.join(POINTS)}.")
    return torch.from_numpy(POINTS[name](n, np.random.default_rng(seed))).float()


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
    turned = np.stack([along * np.cos(angle) - across * np.sin(angle),
                       along * np.sin(angle) + across * np.cos(angle)], 1)
    return 1.2 * turned


POINTS = {"swiss_roll": _swiss_roll, "moons": _moons, "eight_gaussians": _eight_gaussians, "pinwheel": _pinwheel}


def photograph(size: int = 64) -> Tensor:
    """A real face for everyone: the astronaut Eileen Collins (NASA, public domain), (1, 3, size, size) in [−1, 1]."""
    from skimage import data

    return to_tensor([square(Image.fromarray(data.astronaut()[0:200, 124:324]), size)]).float() / 127.5 - 1
