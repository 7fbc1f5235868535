"""The recipes of the Palette models, the regression and the cascade: start, shares of the tasks, losses."""

import math

import pytest
import torch

from helpers.data import load_faces
from helpers.schedules import make_schedule
from helpers.tasks import shrink
from helpers.unet import UNet, count_parameters
from recipes import cascade_16, cascade_64, cascade_64_plain, palette_celeba, palette_faces, regress_faces
from recipes.common import FACE_SCHEDULE, FACE_UNET

SCHEDULE = make_schedule(**FACE_SCHEDULE)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def faces():
    return load_faces("embedded", "valid", limit=32)


def test_a_palette_network_begins_as_the_model_it_comes_from(monkeypatch):
    small = dict(widths=(16, 24), patch=2, attention=(1,))
    monkeypatch.setattr(palette_faces, "FACE_UNET", small)
    torch.manual_seed(0)
    start = UNet(attributes=(2, 3), **small)
    for weights in start.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    network = palette_faces.palette_network(start)
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 900])
    with torch.no_grad():
        one, two = (network(x, t, image=torch.randn(2, 3, 16, 16)) for _ in range(2))
        assert torch.allclose(one, start(x, t), atol=1e-4) and torch.equal(one, two)


def test_every_task_has_its_share_of_a_batch(faces):
    y, hole = palette_faces.share_tasks(faces.images, seeded())
    again, _ = palette_faces.share_tasks(faces.images, seeded())
    assert torch.equal(y, again)
    whole = hole.flatten(1).all(1)
    assert whole[17:].all() and whole[:17].sum() == 0  # 12 holes and 5 borders, then 5 + 5 + 5
    grey, small = y[17:22], y[22:27]
    assert torch.equal(grey[:, 0], grey[:, 2]) and not torch.equal(small[:, 0], small[:, 2])
    assert torch.equal(y[~hole.expand_as(y)], faces.images[~hole.expand_as(y)])


def test_a_kind_of_hole_has_its_share(faces):
    y, hole = palette_faces.share_tasks(faces.images, seeded(), palette_celeba.SHARES)
    missing = hole.flatten(1).float().mean(1)
    assert (missing[:6] == 0.25).all() and (missing[6:12] == 0.5).all()  # centre holes, then halves
    assert missing[12:17].max() < 1 and (missing[22:] == 1).all()
    assert torch.equal(y[~hole.expand_as(y)], faces.images[~hole.expand_as(y)])


def test_a_deeper_network_begins_with_the_answers_of_the_old_one():
    torch.manual_seed(0)
    start = UNet(image_channels=3, **FACE_UNET)
    for weights in start.parameters():
        torch.nn.init.normal_(weights, std=0.05)
    network = palette_celeba.deeper(start)
    x, y, t = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64), torch.tensor([3, 900])
    with torch.no_grad():
        assert torch.allclose(network(x, t, image=y), start(x, t, image=y), atol=1e-5)
        assert start(x, t, image=y).abs().mean() > 0.01
    assert count_parameters(network) == 5_544_924 and palette_celeba.deeper(network) is network


def test_the_loss_of_the_regression_by_hand(faces):
    calls = []

    def network(x_t, t, image):
        calls.append((x_t, t))
        return -0.3 * torch.ones_like(x_t) - 0.5 * image

    got = regress_faces.regression_loss(SCHEDULE)(network, {"image": faces.images}, seeded())
    y, hole = palette_faces.share_tasks(faces.images, seeded())
    x_t, t = calls[0]
    assert len(calls) == 1 and (t == 1000).all()
    assert torch.equal(x_t, torch.where(hole, 0.0, y))
    noise = float(SCHEDULE.noise[-1])
    each = []
    for one, known, unknown in zip(faces.images, y, hole, strict=True):
        inside = unknown.expand_as(one)
        each.append((noise * (0.3 + 0.5 * known) - one)[inside].square().mean())  # x_0 = −noise · v
    assert float(got) == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)


@pytest.fixture
def made(monkeypatch, faces):
    """Recipes on a few faces."""
    for module in (cascade_16, cascade_64, palette_faces):
        monkeypatch.setattr(module, "load_faces", lambda *what: faces)
    return lambda module: module.recipe()


def test_the_regression_has_palettes_budget_and_start(made):
    palette, regress = made(palette_faces), made(regress_faces)
    assert palette.parts[0].numbers == regress.parts[0].numbers
    assert palette.parts[0].numbers["steps"] == 8000
    weights = regress.network.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in palette.network.state_dict().items())
    assert palette.card["tasks"] == regress.card["tasks"] == palette_faces.PALETTE_TASKS
    assert regress.card["target"] == "v"


def test_the_cascade_learns_from_small_faces(made, faces):
    first, second, plain = (made(module) for module in (cascade_16, cascade_64, cascade_64_plain))
    assert second.parts[0].numbers == plain.parts[0].numbers
    weights = plain.network.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in second.network.state_dict().items())
    assert first.card["schedule"]["log_snr_shift"] == pytest.approx(2 * math.log(2))
    assert second.card["schedule"] == FACE_SCHEDULE
    assert (second.card["highest"], plain.card["highest"]) == (500, 0)
    batch, sizes, seen = faces[:8], [], []

    def network(x_t, t, image=None):
        sizes.append(x_t.shape)
        seen.append(image)
        return torch.zeros_like(x_t)

    for recipe in (first, second, plain):
        assert 0.05 < float(recipe.parts[0].loss(network, batch, seeded())) < 2
    assert sizes == [(8, 3, 16, 16), (8, 3, 64, 64), (8, 3, 64, 64)] and seen[0] is None
    clean = shrink(batch["image"]).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.equal(seen[2][:, :3], clean) and (seen[2][:, 3] == 0).all()
    levels = seen[1][:, 3, 0, 0]
    highest = float(make_schedule(**cascade_16.SMALL_SCHEDULE).noise[500])
    assert len(levels.unique()) > 5 and levels.min() >= 0 and levels.max() <= highest < 0.5
    off = (seen[1][:, :3] - clean).std((1, 2, 3))
    assert torch.corrcoef(torch.stack([off, levels]))[0, 1] > 0.95  # the level tells the noise


def test_the_cascade_keeps_to_its_size(made):
    one = count_parameters(UNet(**FACE_UNET, image_channels=3))
    small, large = (count_parameters(made(module).network) for module in (cascade_16, cascade_64))
    assert 0.8e6 < small < 1.0e6 and 0.6 * one < small + large < one
    assert 2 * (small + 2 * large) < 8e6  # bytes of the three checkpoints, in half precision
