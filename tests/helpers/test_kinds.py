"""A value of another kind is taken for what it is, or refused; never taken for something else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import load_faces
from helpers.pictures import positions
from helpers.plots import to_pixels
from helpers.tasks import cut, make_holes

MASKS = st.lists(st.booleans(), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(mask=MASKS, kind=st.sampled_from([torch.tensor, np.array, list, tuple]))
def test_a_mask_chooses_those_where_it_is_true(mask, kind):
    wanted = [i for i, chosen in enumerate(mask) if chosen]
    assert positions(kind(mask), len(mask)).tolist() == wanted
    assert positions(kind(wanted), len(mask)).tolist() == wanted if wanted else True
    with pytest.raises(IndexError, match="A mask needs one entry"):
        positions(kind([*mask, True]), len(mask))


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 30),
    i=st.integers(-60, 60),
    kind=st.sampled_from([torch.tensor, np.array, np.int64, int]),
)
def test_a_position_is_there_or_refused(n, i, kind):
    value = kind(i) if kind in (np.int64, int) else kind([i])
    if -n <= i < n:
        assert positions(value, n).tolist() == [i % n]
    else:
        with pytest.raises(IndexError, match=f"There are {n} faces"):
            positions(value, n)


@pytest.mark.parametrize("bad", [[0.5], torch.tensor([1.0]), np.array([2.5])])
def test_fractions_are_no_positions(bad):
    with pytest.raises(TypeError, match="whole numbers"):
        positions(bad, 9)


def test_faces_by_a_mask():
    faces = load_faces("embedded", "valid", limit=50)
    mask = faces.column("Eyeglasses") == 1
    some = faces.take(mask)
    wanted = [i for i in range(50) if mask[i]]
    assert 0 < len(some) == len(some.ids) == len(some.captions) == len(wanted) < 50
    assert some.ids == tuple(faces.ids[i] for i in wanted)
    assert torch.equal(some.pixels, faces.pixels[mask]) and (some.column("Eyeglasses") == 1).all()
    assert len(faces.take([])) == 0 and faces.take(range(3)).ids == faces.ids[:3]
    assert faces.take(np.int64(2)).ids == faces.ids[2:3]


def test_pixels_are_shown_as_pixels():
    pixels = torch.tensor([[[0, 255], [51, 102]]], dtype=torch.uint8)
    assert np.allclose(to_pixels(pixels)[..., 0], [[0, 1], [0.2, 0.4]], atol=1e-6)
    assert np.allclose(to_pixels(pixels.float() / 127.5 - 1), to_pixels(pixels), atol=1e-6)
    with pytest.raises(TypeError, match="float in .* or uint8, not torch.int64"):
        to_pixels(pixels.long())


def test_pixels_are_not_cut_as_if_they_were_floats():
    hole = make_holes("centre", 1, 8)
    with pytest.raises(TypeError, match="uint8.*127.5"):
        cut(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), hole)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "PA", "1"])
def test_whatever_is_transparent_becomes_white(mode, tmp_path):
    """Pillow is asked, not a list of modes: a PNG of mode RGB can have a transparent colour."""
    from PIL import Image

    from helpers.pictures import square

    opaque = Image.new("RGBA", (8, 8), (255, 0, 255, 255))
    clear = Image.new("RGBA", (8, 8), (255, 0, 255, 0))
    if mode in ("RGBA", "LA", "PA"):
        clear.convert(mode).save(tmp_path / "a.png") if mode != "PA" else clear.save(tmp_path / "a.png")
    else:
        image = opaque.convert(mode)
        pixel = image.getpixel((0, 0))
        image.save(tmp_path / "a.png", transparency=pixel)
    assert (square(Image.open(tmp_path / "a.png"), 4) == 255).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_no_numbers_do_not_end_the_process(bad):
    from helpers.metrics import frechet_distance, moments

    good = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    spoiled = good.clone()
    spoiled[7, 2] = bad
    for call in (
        lambda: frechet_distance(spoiled, good),
        lambda: frechet_distance(good, spoiled),
        lambda: moments(spoiled),
    ):
        with pytest.raises(ValueError, match="1 of 50 samples have features that are NaN or infinite"):
            call()


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"]
)
def test_faces_that_cannot_be_read(content, tmp_path, monkeypatch):
    from helpers import course, data

    (tmp_path / "faces.parquet").write_bytes(content)
    for module in (course, data):
        monkeypatch.setattr(module, "DATA", tmp_path)
    with pytest.raises(RuntimeError, match=f"cannot be read .*has {len(content)} bytes.*make faces"):
        load_faces("embedded", "train")
    assert "make faces" in course._data()


def test_the_home_folder_in_a_name(tmp_path, monkeypatch):
    from PIL import Image

    from helpers.data import load_picture

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "me.png")
    assert load_picture("~/me.png")[0, 0].mean() == 1
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load_faces("celeba", "train", folder="~/celeba")
