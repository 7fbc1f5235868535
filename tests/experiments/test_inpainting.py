"""Session inpainting: scores inside a hole, the classical ways to fill one, and the stored tables."""

import json
import math

import pytest
import torch

from experiments import inpainting, palette_parts
from helpers.course import ROOT
from helpers.metrics import masked_mean, psnr, ssim
from helpers.tasks import make_holes
from helpers.unet import count_parameters

TABLE = ROOT / "experiments" / "inpainting.json"
PARTS = ROOT / "experiments" / "palette_parts.json"


def pictures(n=3, side=32, seed=0):
    """Smooth random pictures (n, 3, side, side) in [−1, 1]."""
    small = torch.randn(n, 3, side // 4, side // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, scale_factor=4, mode="bilinear").tanh()


# ----------------------------------------------------------------------------------------------------------
# PSNR and SSIM inside a hole


@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_ssim_is_that_of_torchmetrics_on_whole_pictures(noise):
    from torchmetrics.functional.image import structural_similarity_index_measure as theirs

    a = pictures(4).double()
    b = (a + noise * torch.randn(a.shape, generator=torch.Generator().manual_seed(1))).clamp(-1, 1)
    wanted = theirs(a, b, data_range=2.0, reduction="none")
    assert torch.allclose(ssim(a, b), wanted.to(a), atol=1e-6)
    assert torch.allclose(ssim(a, a), torch.ones(4, dtype=a.dtype))


def test_ssim_of_flat_pictures_by_hand():
    """Flat pictures of values u and v have no variance: SSIM = (2uv + c₁) / (u² + v² + c₁)."""
    a, b = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 16, 16), -0.2)
    wanted = (2 * 0.5 * -0.2 + 0.0004) / (0.25 + 0.04 + 0.0004)
    assert float(ssim(a, b)) == pytest.approx(wanted, abs=1e-4)


def test_inside_a_hole_only_the_hole_counts():
    a = pictures(2, 64)
    hole = make_holes("centre", 2, 64)
    b = torch.where(hole, a + 0.2, a)
    assert torch.allclose(psnr(b, a, hole), torch.full((2,), 20.0), atol=1e-3)  # 10 log10(4 / 0.04)
    assert torch.allclose(psnr(b, a), torch.full((2,), 20 + 6.0206), atol=1e-3)  # a quarter of the pixels
    outside = torch.where(hole, a, -a)
    assert torch.isinf(psnr(outside, a, hole)).all()
    deep = torch.zeros_like(hole)
    deep[:, :, 24:40, 24:40] = True  # no window from here reaches beyond the hole
    assert torch.allclose(ssim(outside, a, deep), torch.ones(2), atol=1e-5)
    assert (ssim(outside, a, hole) < 0.99).all()  # windows at the border of the hole see what is around it


def test_a_mean_inside_by_hand():
    values = torch.arange(8.0).view(1, 2, 2, 2)
    hole = torch.tensor([[True, False], [False, True]]).view(1, 1, 2, 2)
    assert float(masked_mean(values, hole)) == (0 + 3 + 4 + 7) / 4
    assert float(masked_mean(values, None)) == 3.5


def test_holes_that_cannot_be_scored():
    a = pictures(2)
    empty = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    for score in (psnr, ssim):
        with pytest.raises(ValueError, match="A picture has no hole"):
            score(a, a, empty)
        with pytest.raises(ValueError, match="does not fit the pictures"):
            score(a, a, make_holes("centre", 2, 64))
    everything = ~empty
    b = (a + 0.1).clamp(-1, 1)
    assert torch.allclose(psnr(a, b, everything), psnr(a, b))
    assert torch.allclose(ssim(a, b, everything), ssim(a, b), atol=1e-6)


# ----------------------------------------------------------------------------------------------------------
# Classical ways


def test_the_mean_colour_by_hand():
    x = torch.tensor([0.0, 1.0, 0.5, 9.0]).view(1, 1, 2, 2)
    hole = torch.tensor([False, False, False, True]).view(1, 1, 2, 2)
    assert torch.allclose(inpainting.mean_colour(x, hole), torch.tensor([0, 1, 0.5, 0.5]).view(1, 1, 2, 2))


def test_biharmonic_continues_a_slope():
    """u = x and u = x·y have ΔΔu = 0, so a hole in them is filled exactly."""
    line = torch.linspace(-0.5, 0.5, 16)
    slope = line.expand(16, 16)
    saddle = line[:, None] * line
    x = torch.stack([slope, saddle, -slope])[None]
    hole = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    hole[..., 6:10, 5:9] = True
    filled = inpainting.biharmonic(torch.where(hole, 0.9, x), hole)
    assert torch.allclose(filled, x, atol=1e-3)


def test_telea_where_opencv_is():
    pytest.importorskip("cv2")
    flat = torch.full((1, 3, 16, 16), 0.6)
    hole = make_holes("centre", 1, 16)
    filled = inpainting.telea(torch.where(hole, -1.0, flat), hole)
    assert torch.allclose(filled, flat, atol=0.02)


def test_spread_among_fills_by_hand():
    hole = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    hole[..., 0, 0] = True
    fills = torch.zeros(2, 1, 3, 2, 2)
    fills[0, ..., 0, 0], fills[1, ..., 0, 0] = 0.3, -0.3
    fills[0, ..., 1, 1] = 5  # outside
    assert inpainting.spread(fills, hole) == pytest.approx(0.3 * 2**0.5)  # variance over 2 − 1


def test_calls_are_counted():
    assert inpainting.calls("Palette") == inpainting.STEPS
    assert inpainting.calls("RePaint") == 290
    assert inpainting.calls("biharmonic") == 0


def test_a_part_is_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return torch.ones(2, 3)

    one, two = (inpainting.part(tmp_path, "x", make) for _ in range(2))
    assert made == [1] and torch.equal(one["fills"], two["fills"]) and one["seconds"] == two["seconds"]


# ----------------------------------------------------------------------------------------------------------
# The stored table


@pytest.fixture(scope="module")
def table():
    if not TABLE.exists():
        pytest.skip("python -m experiments.inpainting comes first")
    return json.loads(TABLE.read_text())


def test_the_table_is_complete(table):
    methods, floor = table["methods"], table["floor"]
    assert {"mean colour", "biharmonic", "RePaint"} <= set(methods)
    assert floor["n"] == table["machine"]["n"] == 100
    for name, row in methods.items():
        assert row["n"] == 100 and set(row["kinds"]) == set(inpainting.KINDS), name
        error = sum(k["mse"] for k in row["kinds"].values()) / 4
        assert row["psnr"] == pytest.approx(10 * math.log10(4 / error))
        assert row["fd_interval"][0] < row["fd"] < row["fd_interval"][1]
        assert sum(k["n"] for k in row["kinds"].values()) == 100
        if name in ("mean colour", "biharmonic", "Telea"):
            assert row["fd"] > floor["fd"]
    assert methods["RePaint"]["calls"] <= 300 and methods["RePaint"]["fd"] < methods["biharmonic"]["fd"]


def test_each_network_lacks_one_part():
    full = palette_parts.build(palette_parts.FULL, 0)
    weights = {
        name: count_parameters(palette_parts.build(a, 0)) for name, a in palette_parts.NETWORKS.items()
    }
    assert weights["one head"] == weights["full"] == count_parameters(full)  # heads share the same weights
    one = 2 * 32 + 4 * 32 * 32 + 4 * 32  # norm, queries, keys, values and the last matrix at 32 channels
    assert weights["full"] - weights["attention at 4×4 only"] == 3 * one  # once down, twice up
    channels = [block.norm2.num_channels for block in full.modules() if hasattr(block, "norm2")]
    assert weights["full"] - weights["step added"] == sum(c * (128 + 1) for c in channels)
    assert full.image_channels == 3


def test_the_loss_of_the_parts_counts_the_hole_only():
    x = {"image": pictures(4)}
    answered = []

    def network(x_t, t, image):
        answered.append((x_t, image))
        return torch.zeros_like(x_t)

    def ask():
        return float(palette_parts.loss(network, x, torch.Generator().manual_seed(0)))

    assert ask() == ask()  # all that is random comes from the generator
    x_t, y = answered[0]
    same = (x_t == x["image"]).all(1) & (y == x["image"]).all(1)
    assert 0.1 < float(same.float().mean()) < 0.95  # known pixels are clean in x_t and in y
    fills, hole = palette_parts.fill(network, x["image"], steps=3)
    assert torch.equal(torch.where(hole, 0.0, fills), torch.where(hole, 0.0, x["image"]))


@pytest.mark.skipif(not PARTS.exists(), reason="python -m experiments.palette_parts comes first")
def test_the_parts_are_all_measured():
    stored = json.loads(PARTS.read_text())
    runs = stored["runs"]
    seeds = {run["seed"] for run in runs.values()}
    assert set(runs) == {f"{name}, seed {s}" for name in palette_parts.NETWORKS for s in seeds}
    for key, run in runs.items():
        assert run["parameters"] == count_parameters(
            palette_parts.build(palette_parts.NETWORKS[key.rsplit(",", 1)[0]], 0)
        )
        assert 0 < run["loss"] < 1 and run["fd"] > stored["floor"]["fd"] and 5 < run["psnr"] < 40
