"""Large sets of pictures: mapped into memory, read once, and never held several times."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import reading
from helpers.features import FaceFeatures, extract
from helpers.pictures import to_floats, to_tensor


@pytest.fixture
def files(tmp_path):
    found = []
    for i in range(6):
        found.append(tmp_path / f"{i}.png")
        Image.fromarray(np.full((20, 20, 3), (i, 10 * i, 255 - i), np.uint8)).save(found[-1])
    return found


def test_a_large_set_is_read_once_and_mapped(files, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BUILD", tmp_path / "build" / "training")
    held = reading.read_all(files, 8)
    monkeypatch.setattr(reading, "LARGE", 6 * 3 * 8 * 8 - 1)
    first = reading.read_all(files, 8)
    read = reading.read
    monkeypatch.setattr(reading, "read", None)  # the second time no picture is opened
    second = reading.read_all(files, 8)
    assert torch.equal(held, first) and torch.equal(held, second)
    assert held[3, :, 0, 0].tolist() == [3, 30, 252] and held.shape == (6, 3, 8, 8)
    second[0] = 7  # changes nothing for the next
    assert torch.equal(reading.read_all(files, 8), held)
    monkeypatch.setattr(reading, "read", read)
    assert len(reading.read_all(files[:5], 16)) == 5  # other files, another size: another store
    assert len(list((tmp_path / "build" / "cache").iterdir())) == 2


def test_an_interrupted_reading_leaves_nothing(files, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BUILD", tmp_path / "build" / "training")
    monkeypatch.setattr(reading, "LARGE", 1)
    files[4].write_bytes(b"no picture")
    with pytest.raises(ValueError, match="4.png cannot be read as a picture"):
        reading.read_all(files, 8)
    assert list((tmp_path / "build" / "cache").iterdir()) == []


def test_features_of_pixels_are_those_of_floats():
    torch.manual_seed(0)
    network = FaceFeatures((2,), width=8).eval()
    pixels = torch.randint(0, 256, (7, 3, 64, 64), dtype=torch.uint8)
    assert torch.equal(extract(network, pixels, 3), extract(network, to_floats(pixels), 3))
    assert torch.equal(to_floats(pixels), pixels.float() / 127.5 - 1)
    arrays = [picture.permute(1, 2, 0).numpy() for picture in pixels]
    assert torch.equal(to_tensor(arrays), pixels) and torch.equal(to_tensor(iter(arrays), 7), pixels)


PEAK = """\
import re, torch, numpy as np
from helpers.pictures import to_tensor
picture = np.zeros((64, 64, 3), np.uint8)
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
pixels = to_tensor((picture + i % 2 for i in range(20_000)), 20_000)
print((peak() - before) / pixels.numel())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its peak memory")
def test_pictures_are_held_once():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, timeout=120)
    assert 0.9 < float(done.stdout) < 1.2, done.stderr
