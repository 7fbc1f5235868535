"""Faces from every source, also damaged ones; pictures of one's own; digits, points, a photograph."""

import csv
import gzip
import io
import math
import socket
import struct
import weakref
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from helpers.celeba import from_rows
from helpers.data import FACE_VALUES, POINTS, load_digits, load_faces, load_picture, load_points, photograph
from helpers.pictures import as_file

ROOT = Path(__file__).parents[2]
GENUINE = ROOT.parent / "shared" / "data"
NAMES = [f"Attribute_{i}" for i in range(40)]
PARTS = {"000001.jpg": 0, "000002.jpg": 0, "000003.jpg": 1, "000004.jpg": 0, "000007.jpg": 2}
VALUES = {name: [1 if (i * 7 + int(name[:6]) * 3) % 5 < 2 else -1 for i in range(40)] for name in PARTS}


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """Nothing here may reach the network; the list tells who tried."""
    tried = []

    def refuse(self, address):
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("CELEBA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tried


def photo(seed, size=(178, 218)):
    """A smooth coloured picture, so that JPEG keeps it."""
    noise = np.random.default_rng(seed).integers(0, 256, (7, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def official(folder, end="\n"):
    """Files in the official format of CelebA: five pictures, two text files."""
    (folder / "img_align_celeba").mkdir(parents=True)
    for name in PARTS:
        photo(int(name[:6])).save(folder / "img_align_celeba" / name, quality=95)
    rows = [name + " " + " ".join(f"{v:2d}" for v in VALUES[name]) for name in PARTS]
    lines = [str(len(PARTS)), " ".join(NAMES) + " ", *rows]
    (folder / "list_attr_celeba.txt").write_bytes("".join(x + end for x in lines).encode())
    lines = [f"{name} {part}" for name, part in PARTS.items()] + ["000009.jpg 0"]
    (folder / "list_eval_partition.txt").write_bytes("".join(x + end for x in lines).encode())
    return folder


# CelebA in a folder


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("part, split", [(0, "train"), (1, "valid"), (2, "test")])
def test_celeba_folder(tmp_path, split, part, end, capsys):
    folder = official(tmp_path / "celeba", end)
    faces = load_faces("celeba", split, size=128, folder=folder)
    mine = tuple(name for name, p in PARTS.items() if p == part)
    assert faces.ids == mine and faces.source == "celeba" and faces.split == split
    assert faces.names == tuple(NAMES) and faces.cardinalities == (2,) * 40
    assert faces.attributes.tolist() == [[int(v == 1) for v in VALUES[name]] for name in mine]
    assert faces.pixels.dtype == torch.uint8 and faces.attributes.dtype == torch.int8
    for name, pixels in zip(mine, faces.pixels, strict=True):  # the 128×128 around (89, 121)
        whole = np.asarray(Image.open(folder / "img_align_celeba" / name).convert("RGB"))
        assert np.array_equal(pixels.permute(1, 2, 0), whole[121 - 64 : 121 + 64, 89 - 64 : 89 + 64])
    said = capsys.readouterr().out
    assert f"{len(mine)} faces of celeba ({split}) from the folder {folder}" in said


def test_celeba_is_resized_and_limited(tmp_path, monkeypatch):
    folder = official(tmp_path / "celeba")
    faces = load_faces("celeba", size=64, limit=2, folder=folder)
    assert faces.ids == ("000001.jpg", "000002.jpg")
    whole = Image.open(folder / "img_align_celeba" / "000002.jpg")
    wanted = whole.crop((25, 57, 153, 185)).resize((64, 64), Image.Resampling.LANCZOS)
    assert np.array_equal(faces.pixels[1].permute(1, 2, 0), np.asarray(wanted))
    monkeypatch.setenv("CELEBA", str(folder))  # the folder may come from there
    assert torch.equal(load_faces("celeba", limit=2).pixels, faces.pixels)


def test_celeba_with_some_pictures_only(tmp_path, capsys):
    folder = official(tmp_path / "celeba")
    (folder / "img_align_celeba" / "000002.jpg").unlink()
    assert load_faces("celeba", folder=folder).ids == ("000001.jpg", "000004.jpg")
    assert "1 of the 3 train pictures are not in" in capsys.readouterr().out


def kaggle(folder):
    """As Kaggle packs it: one folder deeper, tables as CSV."""
    official(folder)
    inner = folder / "img_align_celeba"
    inner.rename(folder / "inner")
    inner.mkdir()
    (folder / "inner").rename(inner / "img_align_celeba")
    for name in (ATTRIBUTES, PARTITION):
        rows = [line.split() for line in (folder / name).read_text().splitlines()]
        rows = [["image_id", *NAMES], *rows[2:]] if name == ATTRIBUTES else [["image_id", "partition"], *rows]
        (folder / name).with_suffix(".csv").write_text("".join(",".join(row) + "\r\n" for row in rows))
        (folder / name).unlink()
    return folder


def renamed(folder, suffix):
    """The same pictures, saved or named in another way."""
    official(folder)
    for path in list((folder / "img_align_celeba").iterdir()):
        if suffix == ".png":
            Image.open(path).save(path.with_suffix(suffix))
            path.unlink()
        else:
            path.rename(path.with_suffix(suffix))
    return folder


def marked(folder):
    """With the byte order mark that some editors put at the beginning of a text."""
    official(folder)
    for name in (ATTRIBUTES, PARTITION):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    return folder


LAYOUTS = {
    "Kaggle": kaggle,
    "JPG": lambda folder: renamed(folder, ".JPG"),
    "PNG": lambda folder: renamed(folder, ".png"),
    "BOM": marked,
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_celeba_as_people_have_it(tmp_path, make):
    plain, other = official(tmp_path / "official"), make(tmp_path / "other")
    for split in ("train", "valid", "test"):
        one, two = (load_faces("celeba", split, folder=folder) for folder in (plain, other))
        assert torch.equal(one.pixels, two.pixels) and torch.equal(one.attributes, two.attributes)
        assert one.ids == two.ids and one.names == two.names


def replace(name, old, new):
    def damage(folder):
        text = (folder / name).read_bytes()
        assert old in text
        (folder / name).write_bytes(text.replace(old, new, 1))

    return damage


def keep(name, count):
    def damage(folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:count])

    return damage


ATTRIBUTES, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"
DAMAGE = {
    "no attribute file": (lambda f: (f / ATTRIBUTES).unlink(), FileNotFoundError, f"{ATTRIBUTES} is missing"),
    "no partition file": (lambda f: (f / PARTITION).unlink(), FileNotFoundError, f"{PARTITION} is missing"),
    "truncated picture": (
        keep("img_align_celeba/000004.jpg", 2000),
        ValueError,
        "000004.jpg cannot be read.*damaged",
    ),
    "empty picture": (keep("img_align_celeba/000001.jpg", 0), ValueError, "000001.jpg cannot be read"),
    "wrong count": (replace(ATTRIBUTES, b"5\n", b"6\n"), ValueError, "says 6 pictures but lists 5"),
    "no count": (replace(ATTRIBUTES, b"5\n", b""), ValueError, f"{ATTRIBUTES}.*fetch it again"),
    "cut off": (keep(ATTRIBUTES, 700), ValueError, f"{ATTRIBUTES}.*fetch it again"),
    "a value missing": (replace(ATTRIBUTES, b" -1 -1", b" -1"), ValueError, "a line without 40 values"),
    "a value that is no number": (
        replace(ATTRIBUTES, b" -1 ", b" no "),
        ValueError,
        f"{ATTRIBUTES}.*fetch it again",
    ),
    "empty attribute file": (keep(ATTRIBUTES, 0), ValueError, f"{ATTRIBUTES}.*fetch it again"),
    "a partition missing": (
        replace(PARTITION, b"000002.jpg 0", b"000002.jpg"),
        ValueError,
        f"{PARTITION}.*fetch it again",
    ),
}


@pytest.mark.parametrize("damage, error, message", DAMAGE.values(), ids=DAMAGE)
def test_damaged_celeba_is_refused(tmp_path, monkeypatch, damage, error, message):
    """What is there but broken is named; no other source takes its place."""
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: pytest.fail("asked the Hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    folder = official(tmp_path / "celeba")
    damage(folder)
    with pytest.raises(error, match=message):
        load_faces("celeba", folder=folder)


GENUINE_CELEBA = pytest.mark.skipif(
    not (GENUINE / "celeba").is_dir(), reason="the genuine CelebA pictures are not beside the project"
)
GENUINE_HQ = pytest.mark.skipif(
    not (GENUINE / "celebahq").is_dir(), reason="the genuine CelebA-HQ is not beside the project"
)


@GENUINE_CELEBA
def test_genuine_celeba(tmp_path):
    there = GENUINE / "celeba"
    (tmp_path / "img_align_celeba").symlink_to(there / "img_align_celeba")
    (tmp_path / PARTITION).symlink_to(there / PARTITION)
    (tmp_path / ATTRIBUTES).symlink_to(there / "list_attr_celeba_subset6000.txt")
    with open(there / "manifest_6000.csv", newline="") as file:
        parts = {row["image_id"]: row["partition"] for row in csv.DictReader(file)}
    _, header, *rows = (there / "list_attr_celeba_subset6000.txt").read_text().splitlines()
    known = {row.split()[0]: [int(v) for v in row.split()[1:]] for row in rows}
    for part, (split, count) in enumerate([("train", 4560), ("valid", 780), ("test", 660)]):
        faces = load_faces("celeba", split, size=8, folder=tmp_path)
        mine = [name for name in known if parts[name] == str(part)]
        assert len(faces) == len(mine) == count and faces.ids == tuple(mine)
        assert faces.names == tuple(header.split())
        wanted = (torch.tensor([known[name] for name in mine]) == 1).long()
        assert torch.equal(faces.attributes.long(), wanted)
        assert faces.pixels.float().std(0).min() > 20  # no two places are grey everywhere


# CelebA-HQ in a folder


def hq(folder, zipped=False):
    (folder / "images_1024").mkdir(parents=True)
    for number in (10, 11, 12, 23, 40, 55):
        photo(number, (96, 96)).save(folder / "images_1024" / f"{number:06d}.jpg", quality=95)
    rows = [
        (0, "000012.jpg", "A smiling person."),
        (1, "000023.jpg", 'One with a "hat", young.'),
        (2, "000010.jpg", "Valid."),
        (3, "000099.jpg", "Not here."),
    ]
    text = io.StringIO()
    csv.writer(text, delimiter="\t").writerows([("hq_idx", "orig_file", "caption"), *rows])
    if zipped:
        (folder / "captions_celebahq.tsv.gz").write_bytes(gzip.compress(text.getvalue().encode()))
    else:
        (folder / "captions_celebahq.tsv").write_text(text.getvalue())
    return folder


@pytest.mark.parametrize("zipped", [False, True])
def test_celebahq_folder(tmp_path, zipped):
    folder = hq(tmp_path / "hq", zipped)
    faces = load_faces("celeba-hq", "train", size=96, folder=folder)
    assert faces.ids == ("000012.jpg", "000023.jpg", "000055.jpg")
    assert faces.captions == [["A smiling person."], ['One with a "hat", young.'], []]
    assert faces.names == () and faces.attributes.shape == (3, 0)
    whole = np.asarray(Image.open(folder / "images_1024" / "000023.jpg"))
    assert np.array_equal(faces.pixels[1].permute(1, 2, 0), whole)
    assert load_faces("celeba-hq", "valid", folder=folder).ids == ("000010.jpg", "000040.jpg")
    assert load_faces("celeba-hq", "test", folder=folder).ids == ("000011.jpg",)
    assert faces.take([2, 0]).captions == [[], ["A smiling person."]]


@GENUINE_HQ
def test_genuine_celebahq():
    numbers = [int(p.stem) for p in sorted((GENUINE / "celebahq" / "images_1024").glob("*.jpg"))]
    with gzip.open(GENUINE / "celebahq" / "captions_celebahq.tsv.gz", "rt", newline="") as file:
        captions = {row["orig_file"]: row["caption"] for row in csv.DictReader(file, delimiter="\t")}
    ends = {"valid": {0}, "test": {1}, "train": set(range(2, 10))}
    for split, digits in ends.items():
        faces = load_faces("celeba-hq", split, size=16, folder=GENUINE / "celebahq")
        assert faces.ids == tuple(f"{n:06d}.jpg" for n in numbers if n % 10 in digits)
        assert faces.captions == [[captions[name]] for name in faces.ids]


# The Hub and torchvision, played by stand-ins


def hub(monkeypatch, rows, **features):
    """datasets.load_dataset answers with these rows; returns what it was asked and what it gave."""
    import datasets

    asked, given = [], []

    def stream():
        for row in rows:
            given.append(row)
            yield row

    def load_dataset(*arguments, **options):
        asked.append((arguments, options))
        return datasets.IterableDataset.from_generator(
            stream, features=datasets.Features(image=datasets.Image(), **features)
        )

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    return asked, given


def test_celeba_from_the_hub(tmp_path, monkeypatch, capsys):
    import datasets

    pictures = [photo(i) for i in range(6)]
    rows = [
        {"image": p, "celeb_id": 7 + i, "Bald": i % 2 == 0, "Young": i > 2} for i, p in enumerate(pictures)
    ]
    asked, given = hub(
        monkeypatch,
        rows,
        celeb_id=datasets.Value("int64"),
        Bald=datasets.Value("bool"),
        Young=datasets.Value("bool"),
    )
    faces = load_faces("celeba", "valid", size=128, limit=4, folder=tmp_path / "none")
    assert asked == [(("flwrlabs/celeba",), dict(split="valid", streaming=True))]
    assert 4 <= len(given) <= 5  # streamed: a lecture needs a few thousand
    assert faces.names == ("Bald", "Young") and faces.values["Bald"] == (False, True)
    assert faces.attributes.tolist() == [[1, 0], [0, 0], [1, 0], [0, 1]]
    for pixels, picture in zip(faces.pixels, pictures, strict=False):
        assert np.array_equal(pixels.permute(1, 2, 0), np.asarray(picture)[57:185, 25:153])
    assert "4 faces of celeba (valid) from the Hub mirror flwrlabs/celeba" in capsys.readouterr().out


def test_celebahq_from_the_hub(tmp_path, monkeypatch):
    import datasets

    rows = [{"image": photo(i, (178, 218)), "text": f"Number {i}."} for i in range(3)]
    asked, _ = hub(monkeypatch, rows, text=datasets.Value("string"))
    faces = load_faces("celeba-hq", "train", size=178, folder=tmp_path / "none")
    assert asked == [(("Ryan-sjtu/celebahq-caption",), dict(split="train", streaming=True))]
    assert faces.captions == [["Number 0."], ["Number 1."], ["Number 2."]]
    assert faces.names == () and faces.attributes.shape == (3, 0)
    wanted = np.asarray(rows[1]["image"])[20:198]  # the centre, not CelebA's crop
    assert np.array_equal(faces.pixels[1].permute(1, 2, 0), wanted)
    with pytest.raises(FileNotFoundError, match="has no test split"):
        load_faces("celeba-hq", "test", folder=tmp_path / "none")


def test_large_pictures_of_a_stream_are_not_kept():
    """A hundred thousand whole pictures would need more memory than Colab has."""
    seen = []

    def rows():
        for i in range(20):
            picture = photo(i)
            seen.append(weakref.ref(picture))
            yield {"image": picture, "Bald": True}
            del picture
            assert sum(ref() is not None for ref in seen) <= 2

    assert len(from_rows("celeba", "train", rows(), 8, "image", None)) == 20


def test_an_empty_mirror_is_no_source(tmp_path, monkeypatch):
    hub(monkeypatch, [])
    with pytest.raises(FileNotFoundError, match="celebahq-caption: "):
        load_faces("celeba-hq", "train", folder=tmp_path / "none")


def stand_in(monkeypatch, download):
    """torchvision.datasets.CelebA that does `download(root)`."""
    import torchvision.datasets

    asked = []

    def celeba(root, split, **options):
        asked.append((Path(root), split, options))
        download(Path(root))

    monkeypatch.setattr(torchvision.datasets, "CelebA", celeba)
    return asked


def fail(error):
    def call(*arguments, **options):
        raise error

    return call


def test_celeba_from_torchvision(tmp_path, monkeypatch, capsys):
    import datasets

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(datasets, "load_dataset", fail(ConnectionError("no route")))
    asked = stand_in(monkeypatch, lambda root: official(root / "celeba"))
    faces = load_faces("celeba", "valid", size=128, folder=tmp_path / "celeba")
    assert faces.ids == ("000003.jpg",) and faces.attributes.tolist() == [
        [int(v == 1) for v in VALUES["000003.jpg"]]
    ]
    assert asked == [(tmp_path, "valid", {"download": True})]
    assert "1 faces of celeba (valid) from torchvision's download" in capsys.readouterr().out


def test_all_three_fail_and_all_are_named(tmp_path, monkeypatch, capsys):
    import datasets

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(datasets, "load_dataset", fail(ConnectionError("no route")))
    asked = stand_in(monkeypatch, fail(RuntimeError("too many users")))
    with pytest.raises(FileNotFoundError) as caught:
        load_faces("celeba", folder=tmp_path / "none")
    message = str(caught.value)
    assert f"the folder {tmp_path / 'none'}: it does not exist" in message
    assert "the Hub mirror flwrlabs/celeba: ConnectionError" in message
    assert "torchvision's download: RuntimeError" in message
    assert "load_faces('embedded')" in message  # advice only: nothing was loaded instead
    assert len(asked) == 1 and capsys.readouterr().out == ""


@pytest.mark.parametrize("value", ["1", "ON", "true", "yes"])
def test_offline_asks_nobody(tmp_path, monkeypatch, network, value):
    """The values are those that huggingface_hub knows."""
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    monkeypatch.setattr(datasets, "load_dataset", fail(AssertionError("asked the Hub")))
    asked = stand_in(monkeypatch, fail(AssertionError("asked torchvision")))
    for name, tried in (("celeba", 3), ("celeba-hq", 2)):
        with pytest.raises(FileNotFoundError) as caught:
            load_faces(name, folder=tmp_path / "none")
        assert str(caught.value).count("HF_HUB_OFFLINE") == tried - 1
    assert network == [] and asked == []


@pytest.mark.parametrize("inside", [None, "img_align_celeba"])
def test_a_folder_without_pictures_is_no_source(tmp_path, inside):
    folder = official(tmp_path / "celeba")
    for picture in (folder / "img_align_celeba").iterdir():
        picture.unlink()
    if inside is None:
        (folder / "img_align_celeba").rmdir()
    reason = "no img_align_celeba" if inside is None else "no picture of the train partition"
    with pytest.raises(FileNotFoundError, match=f"Tried the folder .*{reason}"):
        load_faces("celeba", folder=folder)
    with pytest.raises(FileNotFoundError, match="no images_1024 beside"):
        load_faces("celeba-hq", folder=folder)


BAD_CALLS = {
    "name": (dict(name="celeb"), "no faces called 'celeb'.*'embedded', 'celeba' or 'celeba-hq'"),
    "split": (dict(split="validation"), "no split 'validation'.*train, valid, test"),
    "size": (dict(size=0), "at least 1, not 0"),
    "limit": (dict(limit=0), "limit must be at least 1, not 0"),
}


@pytest.mark.parametrize("options, message", BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls(options, message):
    with pytest.raises(ValueError, match=message):
        load_faces(**options)


# The embedded faces


@pytest.fixture(scope="module")
def rows():
    return {
        split: pq.read_table(ROOT / "data" / "faces.parquet", filters=[("split", "==", split)]).to_pylist()
        for split in ("valid", "test")
    }


@pytest.fixture(scope="module")
def faces():
    return load_faces("embedded", "valid")


def test_embedded_faces_are_the_table(faces, rows):
    assert len(faces) == len(rows["valid"]) == 1000 and not faces.unseen.any()
    for i, row in enumerate(rows["valid"]):
        assert faces.ids[i] == row["index"] and faces.captions[i] == row["captions"]
        told = {n: faces.values[n][v] for n, v in zip(faces.names, faces.attributes[i].tolist(), strict=True)}
        assert told == {name: row[name] for name in faces.names}
    for i in range(0, 1000, 97):
        wanted = np.asarray(Image.open(io.BytesIO(rows["valid"][i]["image"]["bytes"])))
        assert np.array_equal(faces.pixels[i].permute(1, 2, 0), wanted[..., :3])
    columns = set(rows["valid"][0]) - {"image", "index", "split", "unseen", "captions"}
    assert set(faces.names) == columns and len(faces.names) == 23


def test_embedded_test_split_tells_what_is_unseen(rows):
    test = load_faces("embedded", "test", size=8)
    assert test.pixels.shape == (1000, 3, 8, 8) and int(test.unseen.sum()) == 300
    assert test.unseen.tolist() == [row["unseen"] for row in rows["test"]]


def test_embedded_limit_and_size(faces):
    few = load_faces("embedded", "valid", size=32, limit=5)
    assert few.ids == faces.ids[:5] and torch.equal(few.attributes, faces.attributes[:5])
    half = Image.fromarray(faces.pixels[3].permute(1, 2, 0).numpy()).resize(
        (32, 32), Image.Resampling.LANCZOS
    )
    assert np.array_equal(few.pixels[3].permute(1, 2, 0), np.asarray(half))
    assert len(load_faces("embedded", limit=7)) == 7  # of the train split


def test_batches_and_images(faces):
    index = torch.tensor([3, 999, 3])
    batch = faces[index]
    wanted = faces.pixels[index].double() / 255 * 2 - 1
    assert torch.allclose(batch["image"].double(), wanted, atol=1e-6)
    assert torch.equal(batch["attributes"], faces.attributes[index].long())
    assert torch.equal(faces.images[index], batch["image"])
    assert faces.images.min() >= -1 and faces.images.max() <= 1
    assert faces[5]["image"].shape == (3, 64, 64) and faces[2:4]["attributes"].shape == (2, 23)


def test_columns_and_cardinalities(faces, rows):
    for name in ("Smiling", "hat", "hair_color"):
        known = [faces.values[name].index(row[name]) for row in rows["valid"]]
        assert faces.column(name).tolist() == known
        assert faces.cardinalities[faces.position(name)] == len(faces.values[name])
    assert len(FACE_VALUES["hair_style"]) == 10 and faces.values["Bald"] == (False, True)


def test_ask_leaves_the_rest_open(faces):
    row = faces.ask(Eyeglasses=True, hat="turban", Smiling=False)
    wanted = torch.full((23,), -1)
    wanted[faces.names.index("Eyeglasses")] = 1
    wanted[faces.names.index("hat")] = 2
    wanted[faces.names.index("Smiling")] = 0
    assert row.dtype == torch.long and row.tolist() == [wanted.tolist()]
    many = faces.ask(3, mouth="sad")
    many[0, 0] = 7  # rows of their own
    assert many.shape == (3, 23) and many[1, 0] == -1
    assert torch.equal(faces.ask(), torch.full((1, 23), -1))


def test_ask_refuses_what_is_not_there(faces):
    with pytest.raises(ValueError, match="no attribute 'Glasses'.*Eyeglasses"):
        faces.ask(Glasses=True)
    with pytest.raises(ValueError, match="hat can be none, beanie, turban, not fez"):
        faces.ask(hat="fez")
    with pytest.raises(ValueError, match="no attribute 'nose'"):
        faces.column("nose")


def test_take(faces):
    some = faces.take([7, 2, 7])
    assert some.ids == (faces.ids[7], faces.ids[2], faces.ids[7])
    assert torch.equal(some.pixels, faces.pixels[[7, 2, 7]])
    assert torch.equal(some.attributes, faces.attributes[[7, 2, 7]])
    assert some.captions[1] == faces.captions[2] and len(some.unseen) == 3


def test_values_are_in_the_order_of_the_drawing():
    pytest.importorskip("python_avatars", reason="the extra 'build' draws the faces")
    pytest.importorskip("resvg_py", reason="the extra 'build' draws the faces")
    from tools.faces import CATEGORIES

    assert {name: list(values) for name, values in FACE_VALUES.items()} == CATEGORIES


# Pictures of one's own


def levels(source, size):
    """The picture as rounded levels 0…255, (size, size, 3)."""
    x = load_picture(source, size)
    assert x.shape == (1, 3, size, size) and x.dtype == torch.float32
    return ((x[0].permute(1, 2, 0) + 1) * 127.5).round().int().numpy()


COLORS = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)


def test_path_and_bytes(tmp_path):
    path = tmp_path / "mine.png"
    path.write_bytes(as_file(Image.fromarray(COLORS[..., :3])))
    for source in (path, str(path), path.read_bytes()):
        assert np.array_equal(levels(source, 8), COLORS[..., :3])


def test_transparency_becomes_white():
    alpha = COLORS[..., 3:] / 255
    wanted = COLORS[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(levels(as_file(Image.fromarray(COLORS)), 8) - wanted).max() <= 1
    grey = Image.fromarray(COLORS[..., 2:])  # grey and alpha
    wanted = COLORS[..., 2:3] * alpha + 255 * (1 - alpha)
    assert np.abs(levels(as_file(grey), 8) - wanted).max() <= 1
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    palette.putpixel((3, 2), 0)
    got = levels(as_file(palette, transparency=0), 8)
    assert got[2, 3].tolist() == [255] * 3 and got[0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize("mode", ["L", "1", "CMYK"])
def test_other_kinds_of_pixels(mode):
    image = Image.fromarray(COLORS[..., :3]).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert np.array_equal(levels(as_file(image, kind), 8), np.asarray(image.convert("RGB")))


def test_16_bits_keep_their_levels():
    ramp = np.tile(np.arange(64, dtype=np.uint16) * 1024, (64, 1))
    got = levels(as_file(Image.fromarray(ramp)), 64)
    assert np.abs(got - (ramp / 257)[..., None]).max() <= 1


def test_a_telephone_held_upright():
    """EXIF orientation 6: the picture is stored lying on its side."""
    picture, exif = Image.fromarray(COLORS[..., :3]), Image.Exif()
    exif[0x0112] = 6
    got = levels(as_file(picture, exif=exif), 8)
    assert np.array_equal(got, np.rot90(COLORS[..., :3], -1))


@pytest.mark.parametrize("shape", [(8, 14), (15, 8)])
def test_the_centre_of_other_shapes(shape):
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    top, left = (shape[0] - 8) // 2, (shape[1] - 8) // 2
    wanted = pixels[top : top + 8, left : left + 8]
    assert np.array_equal(levels(as_file(Image.fromarray(pixels)), 8), wanted)


def test_one_pixel(capsys):
    got = levels(as_file(Image.new("RGB", (1, 1), (10, 200, 30))), 4)
    assert np.array_equal(got, np.broadcast_to([10, 200, 30], (4, 4, 3)))
    assert capsys.readouterr().out == "The picture is 1×1; its centre square is used, as 4×4.\n"
    load_picture(PNG, 8)
    assert capsys.readouterr().out == ""  # nothing was changed


def test_a_picture_of_48_million_pixels_is_sized_down_and_says_so(capsys):
    halves = Image.new("L", (8000, 6000), 40)
    halves.paste(200, (4000, 0, 8000, 6000))
    got = levels(as_file(halves, "JPEG"), 64)
    assert abs(got[:, :29] - 40).max() <= 1 and abs(got[:, 35:] - 200).max() <= 1
    assert "The picture is 8000×6000; its centre square is used, as 64×64." in capsys.readouterr().out


PNG = as_file(Image.fromarray(COLORS[..., :3]))
HUGE = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
UNREADABLE = {
    "empty": b"",
    "text": b"this is not a picture",
    "cut off": PNG[:70],
    "a bit flipped": PNG[:60] + bytes([PNG[60] ^ 4]) + PNG[61:],
    "JPEG cut off": as_file(photo(0), "JPEG")[:2000],
    "GIF cut off": as_file(photo(0), "GIF")[:900],
    "WebP cut off": as_file(photo(0), "WEBP")[:300],
    "claims to be huge": HUGE,
}


@pytest.mark.parametrize("source", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read(tmp_path, source):
    with pytest.raises(ValueError, match="These bytes cannot be read as a picture"):
        load_picture(source)
    (tmp_path / "mine.png").write_bytes(source)
    with pytest.raises(ValueError, match="mine.png cannot be read as a picture"):
        load_picture(tmp_path / "mine.png")


def test_no_picture_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no picture at .*none.png"):
        load_picture(tmp_path / "none.png")
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        load_picture(tmp_path)  # a folder


# Digits, points, a photograph


def test_digits():
    from sklearn.datasets import load_digits as theirs

    images, labels = load_digits(16)
    known = theirs()
    assert images.shape == (1797, 1, 16, 16) and images.dtype == torch.float32
    assert images.unique().tolist() == [i / 8 - 1 for i in range(17)]
    small = torch.from_numpy(known.images).float() / 8 - 1
    for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):  # each pixel stands four times
        assert torch.equal(images[:, 0, i::2, j::2], small)
    assert labels.tolist() == known.target.tolist()
    with pytest.raises(ValueError, match="multiple of 8, not 20"):
        load_digits(20)


@pytest.mark.parametrize("name", POINTS)
def test_points_are_reproducible_and_of_unit_size(name):
    points = load_points(name, 3000, seed=1)
    assert points.shape == (3000, 2) and points.dtype == torch.float32
    assert torch.equal(points, load_points(name, 3000, seed=1))
    assert not torch.equal(points, load_points(name, 3000, seed=2))
    assert points.mean(0).abs().max() < 0.35
    assert 0.6 < points.std(0).min() and points.std(0).max() < 1.3


def test_unknown_points():
    with pytest.raises(ValueError, match="no points called 'ring'.*swiss_roll"):
        load_points("ring")


def wrapped(angle):
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def test_each_cloud_has_its_form():
    p = load_points("swiss_roll") * 7  # a spiral: the radius is the angle
    radius = p.norm(dim=1)
    assert wrapped(torch.atan2(p[:, 1], p[:, 0]) - radius).abs().median() < 0.3
    assert 1.5 * math.pi - 1.5 < radius.min() and radius.max() < 4.5 * math.pi + 1.5
    half = torch.linspace(0, math.pi, 400)  # two half circles
    upper = torch.stack([half.cos(), half.sin()], 1)
    arcs = 1.4 * (torch.cat([upper, torch.tensor([1, 0.5]) - upper]) - torch.tensor([0.5, 0.25]))
    distance, place = torch.cdist(load_points("moons", 4000), arcs).min(1)
    assert distance.quantile(0.99) < 0.3 and distance.mean() == pytest.approx(0.078, abs=0.01)
    assert float((place < 400).float().mean()) == pytest.approx(0.5, abs=0.04)
    p = load_points("eight_gaussians", 8000)
    angle = torch.arange(8) * math.pi / 4
    centres = 1.4 * torch.stack([angle.cos(), angle.sin()], 1)
    distance, owner = torch.cdist(p, centres).min(1)
    assert distance.square().mean() == pytest.approx(2 * 0.01, rel=0.1)
    assert (owner.bincount(minlength=8) - 1000).abs().max() < 120  # 4 standard errors
    p = load_points("pinwheel", 5000) / 1.2  # five blades, turned by exp(radius)/4
    turn = torch.atan2(p[:, 1], p[:, 0]) - 0.25 * p.norm(dim=1).exp()
    fifth = wrapped(5 * turn) / 5
    assert fifth.abs().median() < 0.12 and p.norm(dim=1).mean() == pytest.approx(1, abs=0.03)


def test_photograph():
    from skimage import data

    image = photograph(200)
    assert image.shape == (1, 3, 200, 200) and image.min() >= -1 and image.max() <= 1
    wanted = torch.from_numpy(data.astronaut()[:200, 124:324].copy()).permute(2, 0, 1)
    assert torch.allclose(image[0], wanted / 127.5 - 1, atol=1e-6)
    small = photograph()
    assert small.shape == (1, 3, 64, 64) and small.min() < -0.9 and small.max() > 0.9
    assert torch.allclose(small.mean((2, 3)), image.mean((2, 3)), atol=0.02)
