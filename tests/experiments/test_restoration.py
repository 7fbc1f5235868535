"""Session restoration: what a network is shown, and the stored table."""

import json
import math

import pytest
import torch
from PIL import Image

from experiments import restoration
from helpers.course import ROOT
from helpers.data import load_faces, load_picture
from helpers.diffusion import Denoiser
from helpers.pictures import as_file, odd_files
from helpers.schedules import make_schedule
from helpers.tasks import damage, noisy_large, shrink
from helpers.unet import UNet
from recipes.common import FACE_SCHEDULE

TABLE = ROOT / "experiments" / "restoration.json"
SCHEDULE = make_schedule(**FACE_SCHEDULE)
ODD = odd_files()  # once: one of them has 48 million pixels


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def faces():
    return load_faces("embedded", "test", limit=32)


# ----------------------------------------------------------------------------------------------------------
# What the second stage sees


def test_noise_on_a_small_face_by_hand():
    table = make_schedule("cosine")
    small = torch.tensor([[[[0.5, -0.5]]], [[[0.25, 0.0]]]]).expand(2, 3, 1, 2)
    s = torch.tensor([0, 400])
    seen = noisy_large(small, table, s, seeded(3), factor=2)
    z = torch.randn(2, 3, 1, 2, generator=seeded(3))
    assert seen.shape == (2, 4, 2, 4)
    assert torch.equal(seen[0, :3, 1], small[0, :, 0].repeat_interleave(2, 1))  # step 0: as it was
    assert (seen[0, 3] == 0).all()
    a, b = float(table.signal[400]), float(table.noise[400])
    assert torch.allclose(seen[1, :3, 0], (a * small[1, :, 0] + b * z[1, :, 0]).repeat_interleave(2, 1))
    assert torch.allclose(seen[1, 3], torch.full((2, 4), b)) and 0.5 < b < 0.7


def test_a_step_that_is_not_in_the_table():
    with pytest.raises(ValueError, match="t must lie in 0…1000"):
        noisy_large(torch.zeros(1, 3, 16, 16), SCHEDULE, torch.tensor([1001]))


# ----------------------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.parametrize("task", restoration.TASKS)
@pytest.mark.parametrize(
    "file, middle",
    [
        (ODD["see-through"], [1, 1, 1]),  # see-through becomes white
        (ODD["grey"], [1 / 255] * 3),
        (ODD["one pixel"], [1, -1, -1]),
        (as_file(Image.new("RGB", (90, 40), "red"), "JPEG"), [1, -1, -1]),
    ],
    ids=["alpha", "grey", "one pixel", "wide"],
)
def test_odd_pictures_are_damaged_like_others(task, file, middle):
    x = load_picture(file)
    y, hole = damage(task, x, seeded())
    assert y.shape == x.shape == (1, 3, 64, 64) and hole.shape == (1, 1, 64, 64)
    known = ~hole.expand_as(y)
    assert torch.equal(y[known], x[known])
    assert torch.allclose(x[0, :, 32, 32], torch.tensor(middle, dtype=torch.float), atol=0.02)
    if task == "super_resolve":
        assert torch.allclose(y, x, atol=0.02)  # of one colour: nothing is lost
    if task == "colourise":
        weights = torch.tensor([0.299, 0.587, 0.114])
        assert torch.allclose(y[0, :, 32, 32], (weights * x[0, :, 32, 32]).sum().expand(3), atol=1e-5)


def test_a_very_large_photograph_is_sized_down_with_a_message(capsys):
    x = load_picture(ODD["very large"])
    assert "8000×6000" in capsys.readouterr().out and x.shape == (1, 3, 64, 64)


def test_pictures_that_cannot_be_damaged(faces):
    x = faces.images[:2]
    for task in restoration.TASKS:
        with pytest.raises(ValueError, match=rf"For '{task}' x0 must be \(B, 3, H, W\), not \(3, 64, 64\)"):
            damage(task, x[0])
    for task in ("colourise", "jpeg"):
        with pytest.raises(ValueError, match=r"not \(2, 1, 64, 64\)"):
            damage(task, x[:, :1])
    with pytest.raises(ValueError, match="62×64 cannot be shrunk by 4"):
        damage("super_resolve", x[:, :, :62])
    with pytest.raises(ValueError, match="does not fit the picture"):
        damage("uncrop", x, hole=torch.ones(2, 1, 32, 32, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"must lie in \[−1, 1\]"):
        damage("colourise", (x + 1) * 127.5)


def test_a_small_face_of_another_size_does_not_reach_the_network(faces):
    network = UNet(widths=(16, 24), attention=(), patch=2, image_channels=4)
    seen = noisy_large(shrink(faces.images[:1], 8), SCHEDULE, torch.tensor([100]))  # (1, 4, 32, 32)
    with pytest.raises(ValueError, match=r"must be \(1, 4, 64, 64\), not \(1, 4, 32, 32\)"):
        network(faces.images[:1], torch.tensor([5]), image=seen)


# ----------------------------------------------------------------------------------------------------------
# The benchmark


def test_answers_of_a_network_that_knows_the_mean(faces):
    asked = []

    def network(x_t, t, image):
        asked.append(int(t[0]))
        return torch.full_like(x_t, 0.25)

    predict = Denoiser(network, SCHEDULE, "x0")
    images = faces.images[:3]
    hole = torch.zeros(3, 1, 64, 64, dtype=torch.bool)
    hole[..., :32] = True
    for method, calls in (("regression", 1), ("Palette", restoration.STEPS)):
        asked.clear()
        got = restoration.answer(method, predict, images, hole, seed=0)
        assert len(asked) == calls and asked[0] == 1000
        assert torch.equal(got[..., 32:], images[..., 32:])
        assert torch.allclose(got[..., :32], torch.full((3, 3, 64, 32), 0.25), atol=0.01)


def test_colours_are_counted():
    faces = load_faces("embedded", "test", limit=3)
    truth, place = faces.column("clothing_color"), faces.position("clothing_color")
    answers = iter([truth, (truth + 1) % 6, truth])

    def features(images, classify):
        logits = [None] * len(faces.names)
        logits[place] = torch.nn.functional.one_hot(next(answers), 6).float()
        return logits

    found = restoration.colours(features, faces, torch.zeros(3, 3, 3, 64, 64))
    assert found["different"] == 2 and found["right"] == pytest.approx(2 / 3) and found["fills"] == 3


def test_without_a_network(faces):
    y, hole = damage("uncrop", faces.images[:4], seeded())
    filled = restoration.no_network("uncrop", y, hole)
    inside = hole.expand_as(y)
    assert torch.equal(filled[~inside], y[~inside]) and filled.abs().max() <= 1
    grey, everything = damage("colourise", faces.images[:4])
    assert torch.equal(restoration.no_network("colourise", grey, everything), grey)


@pytest.fixture(scope="module")
def table():
    if not TABLE.exists():
        pytest.skip("python -m experiments.restoration comes first")
    return json.loads(TABLE.read_text())


def test_the_table_is_complete(table):
    machine = table["machine"]
    assert set(table["tasks"]) == set(restoration.TASKS) and machine["n"] >= 100
    blur = f"mean of {machine['fills']} fills"
    for task, rows in table["tasks"].items():
        assert list(rows) == ["no network", "regression", "Palette", blur], task
        for row in rows.values():
            assert row["n"] == machine["n"] and row["fd_interval"][0] < row["fd"] < row["fd_interval"][1]
            assert row["psnr"] == pytest.approx(10 * math.log10(4 / row["mse"]))
        assert rows["regression"]["calls"] == 1 and rows["Palette"]["calls"] == machine["steps"]
        assert rows[blur]["mse"] < rows["Palette"]["mse"]  # the mean is nearer, always
        assert rows["Palette"]["diversity"] > 0
        more = rows["regression"]["over_palette"]
        assert more["excess"] == pytest.approx(rows["regression"]["fd"] - rows["Palette"]["fd"], abs=1e-6)
        low, high = more["excess_interval"]
        alone = [high - low for low, high in (rows[m]["fd_interval"] for m in ("regression", "Palette"))]
        assert high - low < sum(alone), "the same faces in both: the difference is the more certain"
    assert 1 < table["tasks"]["colourise"]["Palette"]["colours"]["different"] <= machine["fills"]


def test_the_cascade_is_measured_with_both_second_stages(table):
    found = table["cascade"]
    asked = {(name, s) for name, levels in restoration.LEVELS.items() for s in levels}
    for source in ("own", "real"):
        assert {(r["model"], r["level"]) for r in found["large"] if r["source"] == source} == asked
    assert found["n"] >= 500 and all(r["n"] == found["n"] for r in found["large"])
    assert all(r["fd"] > 0.5 * found["floor"]["large"]["fd"] for r in found["large"])
    assert len({r["parameters"] for r in found["large"]}) == 1
