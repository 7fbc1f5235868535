"""Draw the embedded face data set: python -m tools.faces [--out FILE] [--n N] [--sheet PNG]."""

import argparse
import hashlib
import io
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tqdm.auto import tqdm

from helpers.files import replacing
from tools.face_captions import captions
from tools.face_parts import (
    BOOLEANS,
    CATEGORIES,
    SEED,
    SIZE,
    UNSEEN,
    draw_face,
    sample_attributes,
    unseen_names,
)

SHEET_COLUMNS = 20


def draw_row(index: int, seed: int = SEED) -> tuple[dict, str]:
    """One row of the table, and the hash of its pixels."""
    face = sample_attributes(index, seed)
    image = draw_face(face)
    coded = io.BytesIO()
    image.save(coded, "WEBP", lossless=True, quality=100, method=4)
    row = {
        "image": {"bytes": coded.getvalue(), "path": None},
        "index": index,
        "split": "",
        "unseen": bool(unseen_names(face)),
        "captions": captions(face, index, seed),
        **{name: face[name] for name in BOOLEANS},
        **{name: face[name] for name in CATEGORIES},
    }
    return row, hashlib.sha256(image.tobytes()).hexdigest()


def schema() -> pa.Schema:
    """The table's columns, with the note from which `datasets` knows that they hold images."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [("image", image), ("index", pa.int64()), ("split", pa.string())]
    fields += [("unseen", pa.bool_()), ("captions", pa.list_(pa.string()))]
    fields += [(name, pa.bool_()) for name in BOOLEANS]
    fields += [(name, pa.string()) for name in CATEGORIES]
    features = {
        name: {"dtype": str(kind), "_type": "Value"}
        for name, kind in fields
        if name not in ("image", "captions")
    }
    features["image"] = {"_type": "Image"}
    # "Sequence" is the name that old and new versions of `datasets` both read.
    text = {"dtype": "string", "_type": "Value"}
    features["captions"] = {"feature": text, "_type": "Sequence"}
    note = {"info": {"features": {name: features[name] for name, _ in fields}}}
    made = {name: version(name) for name in ("python-avatars", "resvg-py")} | {"seed": SEED}
    return pa.schema(fields, {"huggingface": json.dumps(note), "faces": json.dumps(made)})


def build(n: int, seed: int = SEED) -> list[dict]:
    """n rows: 10/12 train, 1/12 valid, 1/12 test, of which 30 % are unseen combinations."""
    held_out = n // 12
    rare = int(0.3 * held_out)
    room = {"train": n - 2 * held_out, "valid": held_out, "test": held_out - rare}
    rare_room = Counter({name: rare // len(UNSEEN) for name in UNSEEN})
    rare_room[next(iter(UNSEEN))] += rare % len(UNSEEN)

    def plan():
        """(index, split) of faces that find room; decided before anything is drawn."""
        index = 0
        seen = set()
        while sum(room.values()) or rare_room.total():
            face = sample_attributes(index, seed)
            key = tuple(face.values())
            names = unseen_names(face)
            left = rare_room if names else room
            name = next((name for name in names or room if left[name]), None)
            if name and key not in seen:  # the same face twice would leak between the splits
                seen.add(key)
                left[name] -= 1
                yield index, "test" if names else name
            index += 1

    planned = list(plan())
    rows, hashes = [], set()
    with ProcessPoolExecutor() as pool:
        indices = [index for index, _ in planned]
        drawn = pool.map(draw_row, indices, [seed] * len(indices), chunksize=32)
        bar = tqdm(drawn, "faces", len(planned))
        for (_, split), (row, digest) in zip(planned, bar, strict=True):
            assert digest not in hashes, f"face {row['index']} looks like an earlier one"
            hashes.add(digest)
            rows.append({**row, "split": split})
    return rows


def sheet(rows: list[dict], path: Path, scale: int = 1) -> None:
    """The first 400 faces as one picture."""
    count = min(400, len(rows))
    step = SIZE * scale
    canvas = Image.new("RGB", (SHEET_COLUMNS * step, -(-count // SHEET_COLUMNS) * step), "white")
    for i, row in enumerate(rows[:count]):
        face = Image.open(io.BytesIO(row["image"]["bytes"])).resize((step, step), 0)
        canvas.paste(face, (i % SHEET_COLUMNS * step, i // SHEET_COLUMNS * step))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/faces.parquet"))
    parser.add_argument("--n", type=int, default=12_000, help="faces in all")
    parser.add_argument("--sheet", type=Path, help="also write the first 400 faces as a PNG")
    args = parser.parse_args()
    rows = build(args.n)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # The pictures are compressed already; small row groups let a reader stream.
    with replacing(args.out) as half:  # the good ones stay where the disk is full
        table = pa.Table.from_pylist(rows, schema())
        pq.write_table(table, half, row_group_size=1000, compression="zstd")
    if args.sheet:
        sheet(rows, args.sheet)
    counts = Counter(row["split"] for row in rows)
    print(f"{args.out}: {dict(counts)}, {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
