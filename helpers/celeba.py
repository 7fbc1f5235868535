"""CelebA and CelebA-HQ from a folder in the official layout, from a Hub mirror, or through torchvision."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import torch

from .pictures import Faces, to_tensor
from .reading import cut_square, read_all

SPLITS = ("train", "valid", "test")
HUB = {  # repository, columns of the picture and its text, our split → theirs, None where there is none
    "celeba": ("flwrlabs/celeba", "image", None, {"train": "train", "valid": "valid", "test": "test"}),
    "celeba-hq": ("Ryan-sjtu/celebahq-caption", "image", "text", {"train": "train"}),
}
# The crop of the DDIM paper's code for CelebA 64×64: 128×128 around (89, 121) of the aligned 178×218.
CELEBA_CROP = (25, 57, 153, 185)


class NotFound(Exception):
    """This source does not have the data; the next one may."""


def sources(name: str, folder: Path, split: str, size: int, limit: int | None) -> list:
    """Where the faces may be had, in order: pairs of what it is called and a call that may raise NotFound."""
    found = [
        (f"the folder {folder}", lambda: _folder(name, folder, split, size, limit)),
        (f"the Hub mirror {HUB[name][0]}", lambda: _hub(name, split, size, limit)),
    ]
    if name == "celeba":
        found.append(("torchvision's download", lambda: _torchvision(folder, split, size, limit)))
    return found


def _folder(name, folder, split, size, limit) -> Faces:
    """CelebA in the official layout, or a folder of CelebA-HQ pictures with captions."""
    if not folder.is_dir():
        raise NotFound("it does not exist")
    return (_celeba_folder if name == "celeba" else _celebahq_folder)(folder, split, size, limit)


def _table(folder: Path, stem: str) -> tuple[str, list[list[str]]]:
    """The file's name and its rows of words: the official text file, or Kaggle's CSV of the same name."""
    for path in (folder / f"{stem}.txt", folder / f"{stem}.csv"):
        if path.exists():
            lines = path.read_text(encoding="utf-8-sig").splitlines()  # some editors put a mark first
            rows = csv.reader(lines) if path.suffix == ".csv" else map(str.split, lines)
            return path.name, [row for row in rows if row]
    raise FileNotFoundError(
        f"{stem}.txt is missing in {folder}: CelebA needs it beside "
        "img_align_celeba; it comes with the official download."
    )


def _attributes(folder: Path) -> tuple[tuple[str, ...], list[list[str]]]:
    """Names (A,) and rows [file, '1' or '-1', …] of CelebA's attributes; ValueError for a damaged file."""
    file, rows = _table(folder, "list_attr_celeba")
    if file.endswith(".csv"):
        names, rows = tuple(rows[0][1:]), rows[1:]
    else:
        first, names, *rows = [*rows, [""], []] if len(rows) < 2 else rows
        count = " ".join(first)
        if not count.isdigit() or int(count) != len(rows):
            raise ValueError(
                f"{file} says {count[:40]} pictures but lists {len(rows)}: "
                "it was cut off or changed; fetch it again."
            )
    if any(not {"1", "-1"}.issuperset(row[1:]) for row in rows):
        raise ValueError(f"{file} has a value that is not 1 or -1: fetch it again.")
    if any(len(row) != len(names) + 1 for row in rows):
        raise ValueError(f"{file} has a line without {len(names)} values: fetch it again.")
    return tuple(names), rows


def _partition(folder: Path) -> dict[str, str]:
    """{file: '0', '1' or '2'}; ValueError for a damaged file."""
    file, rows = _table(folder, "list_eval_partition")
    if any(len(row) != 2 for row in rows):
        raise ValueError(f"{file} has a line without a partition: fetch it again.")
    return dict(rows)


def _pictures(folder: Path) -> dict[str, Path]:
    """{number: file} of the pictures, as .jpg, .JPG or .png, also one folder deeper, as Kaggle packs them."""
    place = folder / "img_align_celeba"
    if not place.is_dir():
        raise NotFound("it has no img_align_celeba")
    deeper = place / "img_align_celeba"
    entries = os.scandir(deeper if deeper.is_dir() else place)
    kinds = (".jpg", ".jpeg", ".png")
    return {Path(e.name).stem: Path(e.path) for e in entries if Path(e.name).suffix.lower() in kinds}


def _celeba_folder(folder, split, size, limit) -> Faces:
    there = _pictures(folder)
    names, rows = _attributes(folder)
    part, wanted = _partition(folder), str(SPLITS.index(split))
    rows = [row for row in rows if part.get(row[0]) == wanted]
    have = [row for row in rows if Path(row[0]).stem in there]
    if len(have) < len(rows):
        print(
            f"{len(rows) - len(have):,} of the {len(rows):,} {split} pictures are not in "
            f"{folder / 'img_align_celeba'}; the others are used."
        )
    if not have:
        raise NotFound(f"img_align_celeba has no picture of the {split} partition")
    have = have[:limit]
    return Faces(
        "celeba",
        split,
        read_all([there[Path(row[0]).stem] for row in have], size, CELEBA_CROP),
        torch.tensor([[int(v) > 0 for v in row[1:]] for row in have], dtype=torch.int8),
        names,
        {n: (False, True) for n in names},
        [],
        tuple(row[0] for row in have),
    )


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
    return Faces(
        "celeba-hq",
        split,
        read_all(paths, size),
        torch.zeros(len(paths), 0, dtype=torch.int8),
        (),
        {},
        [[captions[p.name]] if p.name in captions else [] for p in paths],
        tuple(p.name for p in paths),
    )


def _hub(name, split, size, limit) -> Faces:
    """A mirror on the Hugging Face Hub, streamed: only the pictures asked for are fetched."""
    from datasets import load_dataset

    repository, image, text, splits = HUB[name]
    if split not in splits:
        raise NotFound(f"it has no {split} split")
    _network()
    try:
        stream = load_dataset(repository, split=splits[split], streaming=True)
        return from_rows(name, split, stream.take(limit) if limit else stream, size, image, text)
    except NotFound:
        raise
    except Exception as error:  # the Hub client raises many kinds; the reader is told which
        raise NotFound(_told(error)) from error


def _network() -> None:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise NotFound("HF_HUB_OFFLINE=1 forbids the network")


def _told(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    said = str(error).strip().splitlines()
    return type(error).__name__ + (f": {said[0][:200]}" if said else "")


def from_rows(
    source: str, split: str, rows: Iterable[dict], size: int, image: str, text: str | None
) -> Faces:
    """Faces from rows of a `datasets` table: pictures, boolean columns as attributes, one text column.

    Each picture is made small as it comes, so a stream of large ones fits into memory.
    """
    crop = CELEBA_CROP if source == "celeba" else None
    names, pictures, attributes, captions = (), [], [], []
    for row in rows:
        names = names or tuple(k for k, v in row.items() if isinstance(v, bool))
        pictures.append(cut_square(row[image], size, crop))
        attributes.append([row[n] for n in names])
        captions += [[row[text]]] if text else []
    if not pictures:
        raise NotFound(f"its {split} split is empty")
    return Faces(
        source,
        split,
        to_tensor(pictures),
        torch.tensor(attributes, dtype=torch.int8).view(len(pictures), len(names)),
        names,
        {n: (False, True) for n in names},
        captions,
        tuple(range(len(pictures))),
    )


def _torchvision(folder, split, size, limit) -> Faces:
    from torchvision.datasets import CelebA

    _network()
    try:
        CelebA(folder.parent, split=split, download=True)  # puts the official layout into …/celeba
    except Exception as error:  # the Drive link fails in many ways; the reader is told which
        raise NotFound(_told(error)) from error
    return _celeba_folder(folder.parent / "celeba", split, size, limit)
