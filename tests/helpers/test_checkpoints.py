"""Trained models on disk: what comes back, and what is refused."""

import json
import os
import re
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.blocks import from_blocks, to_blocks
from helpers.checkpoints import (
    FOLDER,
    class_path,
    load_card,
    load_denoiser,
    load_model,
    save_model,
    write_card,
)
from helpers.diffusion import Denoiser
from helpers.features import FaceFeatures
from helpers.layers import Downsample
from helpers.schedules import make_schedule
from helpers.unet import UNet

CARD = dict(
    data="ünseen faces", seconds=12, schedule=dict(name="cosine", steps=50, log_snr_shift=-1.5), target="v"
)


def tiny(seed=0, **options):
    torch.manual_seed(seed)
    network = UNet(widths=(8, 16), attention=(1,), heads=2, attributes=(2, 3), **options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return network


@pytest.fixture
def saved(tmp_path):
    network = tiny()
    save_model("tiny", network, CARD, folder=tmp_path)
    return network, tmp_path


def test_round_trip_in_half_precision(saved):
    network, folder = saved
    again = load_model("tiny", folder=folder)
    assert isinstance(again, UNet) and not again.training
    for (name, old), (twin, new) in zip(network.named_parameters(), again.named_parameters(), strict=True):
        assert name == twin and new.dtype == torch.float32 and not new.requires_grad
        assert ((old - new).abs() <= 2**-11 * old.abs() + 2**-25).all()  # 11 bits, rounded
        assert not torch.equal(old, new)
    assert (folder / "tiny" / "model.safetensors").stat().st_size < 2.6 * sum(
        p.numel() for p in network.parameters()
    )


def test_round_trip_in_full_precision(tmp_path):
    network = tiny(patch=2, out_channels=5, adaptive=False).eval()
    save_model("exact", network, CARD, bits=32, folder=tmp_path)
    again = load_model("exact", folder=tmp_path)
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([3, 9])
    a = torch.tensor([[0, 2], [-1, 1]])
    assert torch.equal(again(x, t, a), network(x, t, a))


def test_blocks_of_eight_bits_are_right_to_half_a_scale():
    weight = torch.randn(5, 7, 3, 3, generator=torch.Generator().manual_seed(0))  # 315 numbers: 10 blocks
    weight.view(-1)[:32] = 0  # a block without a scale
    weight.view(-1)[32] = 100.0  # an outlier hurts its own block only
    blocks, scale = to_blocks(weight)
    assert blocks.shape == (10, 32) and blocks.dtype == torch.int8 and scale.dtype == torch.float16
    error = (from_blocks(blocks, scale, weight.shape) - weight).abs().flatten()
    assert error[:32].max() == 0 and error[32:64].max() > 0.2
    assert (error <= 0.51 * scale.float().repeat_interleave(32)[:315]).all()
    assert 0.002 < error[64:].square().mean().sqrt() < 0.008


def test_a_face_model_in_eight_bits_answers_as_well_as_in_bf16(tmp_path):
    predict, generator = load_denoiser("ddpm-faces"), torch.Generator().manual_seed(1)
    for weight in predict.network.parameters():  # stored in 8 bits already: off the grid, as trained ones are
        weight.mul_(1 + 0.01 * torch.randn(weight.shape, generator=generator)).copy_(weight.half())
    card = {k: v for k, v in load_card("ddpm-faces").items() if k not in ("name", "bits", "bytes")}
    for name, bits in (("large", 16), ("small", 8)):
        save_model(name, predict.network, card, bits=bits, folder=tmp_path)
    again = load_denoiser("small", folder=tmp_path)
    bytes_16, bytes_8 = (load_card(name, tmp_path)["bytes"] for name in ("large", "small"))
    assert 0.53 < bytes_8 / bytes_16 < 0.57
    for layer in (again.network.first, again.network.last[2]):  # what is small stays in half precision
        name = "first" if layer is again.network.first else "last.2"
        assert torch.equal(layer.weight, predict.network.get_submodule(name).weight)
    x, t = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)), torch.tensor([999] * 4)
    exact = predict.network(x, t)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = predict.network(x, t).float()
    error, usual = ((other - exact).norm() / exact.norm() for other in (again.network(x, t), rounded))
    assert 0.001 < error < usual < 0.01


def test_other_bits_are_refused(tmp_path):
    with pytest.raises(ValueError, match="8, 16 or 32 bits, not in 4"):
        save_model("tiny", tiny(), CARD, bits=4, folder=tmp_path)


def test_what_cannot_be_loaded_is_not_saved_over_what_is_there(saved):
    _, folder = saved
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(TypeError, match="network out of `helpers`.*, not torch.nn.modules.linear.Linear"):
        save_model("tiny", torch.nn.Linear(2, 2), {}, folder=folder)
    with pytest.raises(TypeError, match="config.*helpers.layers.Downsample has none"):
        save_model("tiny", Downsample(3), {}, folder=folder)
    assert before and before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "path",
    [
        "UNet",
        "os.system",
        "torch.nn.Linear",
        "helpers.nowhere.UNet",
        "helpers.unet.Tensor",  # known there, but not of helpers
        "helpers.unet.count_parameters",
        "helpers.checkpoints.os.system",
    ],
)
def test_a_card_does_not_choose_what_is_imported(saved, path):
    _, folder = saved
    write_card(folder / "tiny", load_card("tiny", folder) | dict(network=path))
    with pytest.raises(TypeError, match=f"network out of `helpers`.*, not {path}"):
        load_model("tiny", folder=folder)


def test_buffers_come_back_too(tmp_path):
    network = FaceFeatures((2, 5), width=8)
    network.scale.fill_(7.25)
    save_model("features", network, {}, folder=tmp_path)
    assert float(load_model("features", folder=tmp_path).scale) == 7.25


def test_the_card_tells_what_is_there(saved):
    network, folder = saved
    card = load_card("tiny", folder)
    assert card["name"] == "tiny" and card["network"] == "helpers.unet.UNet"
    assert card["data"] == "ünseen faces"
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert card["bytes"] == (folder / "tiny" / "model.safetensors").stat().st_size
    assert card["schedule"] == CARD["schedule"] and card["config"]["widths"] == [8, 16]
    assert "ünseen" in (folder / "tiny" / "card.json").read_text(encoding="utf-8")
    assert sorted(p.name for p in (folder / "tiny").iterdir()) == ["card.json", "model.safetensors"]


def test_load_denoiser(saved):
    _, folder = saved
    predict = load_denoiser("tiny", folder=folder)
    table = make_schedule("cosine", 50, -1.5)
    assert torch.equal(predict.schedule.signal, table.signal) and predict.target == "v"
    by_hand = Denoiser(load_model("tiny", folder=folder), table, "v")
    x, t, a = torch.randn(2, 3, 8, 8), torch.tensor([1, 50]), torch.tensor([[1, -1], [0, 2]])
    for got, wanted in zip(predict(x, t, attributes=a), by_hand(x, t, attributes=a), strict=True):
        assert torch.equal(got, wanted)
    x0, eps = predict(x, t, attributes=a)
    signal, noise = table.at(t, x)
    assert torch.allclose(signal * x0 + noise * eps, x, atol=1e-4)


@pytest.mark.parametrize("moment", [1, 2])
def test_killed_while_saving(saved, monkeypatch, moment):
    """Weights are replaced at once, then the card; a kill in between leaves weights that carry their card."""
    network, folder = saved
    real, calls = os.replace, []

    def replace(a, b):
        calls.append(b)
        if len(calls) == moment:
            raise KeyboardInterrupt
        real(a, b)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        save_model("tiny", tiny(seed=1), CARD | dict(seconds=99), folder=folder)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert load_card("tiny", folder)["seconds"] == (12 if moment == 1 else 99)
        weight = load_model("tiny", folder=folder).first.weight
    assert [str(w.message).endswith("card.json is of other weights; theirs is used.") for w in said] == (
        [] if moment == 1 else [True, True]
    )
    wanted = (network if moment == 1 else tiny(seed=1)).first.weight
    assert torch.allclose(weight, wanted, atol=1e-2)


# Bad input


def test_unknown_name(saved):
    _, folder = saved
    for call in (load_card, load_model, load_denoiser):
        with pytest.raises(
            FileNotFoundError, match="no checkpoint 'none'.*choose one of tiny,.*make checkpoints"
        ):
            call("none", folder=folder)
    with pytest.raises(FileNotFoundError, match="none is there, or train"):
        load_card("tiny", folder / "elsewhere")


def test_card_missing(saved):
    _, folder = saved
    (folder / "tiny" / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match="no checkpoint 'tiny'"):
        load_model("tiny", folder=folder)


@pytest.mark.parametrize("text", ["", '{"name": "tiny", "netw', "<html>"], ids=["empty", "half", "html"])
def test_card_damaged(saved, text):
    _, folder = saved
    (folder / "tiny" / "card.json").write_text(text)
    with pytest.raises((RuntimeError, ValueError), match="tiny.*card.json"):
        load_model("tiny", folder=folder)


@pytest.mark.parametrize("size", [None, 0, 5, 300, -1], ids=str)
def test_weights_damaged(saved, size):
    _, folder = saved
    path = folder / "tiny" / "model.safetensors"
    if size is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:size])
    message = f"weights of 'tiny'.*{re.escape(str(path))}.*NAME=tiny"
    with pytest.raises(RuntimeError, match=message):
        load_model("tiny", folder=folder)


def test_weights_of_another_network(saved):
    _, folder = saved
    card = load_card("tiny", folder)
    card["config"]["widths"] = [8, 8]
    write_card(folder / "tiny", card)
    with pytest.raises(RuntimeError, match="weights of 'tiny'.*cannot be read"):
        load_model("tiny", folder=folder)


# What is committed


@pytest.mark.parametrize("name", sorted(p.parent.name for p in FOLDER.glob("*/card.json")))
def test_committed_cards_are_true(name):
    card = json.loads((FOLDER / name / "card.json").read_text(encoding="utf-8"))
    network = load_model(name)
    assert card["name"] == name and card["network"] == class_path(type(network))
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert card["bytes"] == (FOLDER / name / "model.safetensors").stat().st_size
    assert all(v.isfinite().all() for v in network.state_dict().values())
    assert card["seconds"] > 0 and card["device"] and card["recipe"]["seed"] is not None


def test_weights_and_card_that_do_not_belong_together_are_refused(saved):
    """As after a kill between the two files, or where one of them was fetched from elsewhere."""
    _, folder = saved
    card = load_card("tiny", folder)
    save_model("tiny", tiny(seed=1), CARD, folder=folder)
    assert load_card("tiny", folder)["sha256"] != card["sha256"]
    write_card(folder / "tiny", card | dict(seconds=7))
    with pytest.warns(UserWarning, match="of other weights"):  # weights carry their own card
        assert load_card("tiny", folder)["seconds"] == 12
    weights = folder / "tiny" / "model.safetensors"
    save_file(load_file(weights), weights)  # somebody else's: without one
    with pytest.raises(RuntimeError, match="cannot be read.*weights and card are not of one training"):
        load_model("tiny", folder=folder)


@pytest.mark.parametrize("value", [torch.tensor(2.5), __import__("numpy").float32(2.5)])
def test_a_card_takes_numbers_of_any_library(saved, value):
    _, folder = saved
    save_model("tiny", tiny(seed=1), CARD | dict(fd=value), folder=folder)
    assert load_card("tiny", folder)["fd"] == 2.5 and load_model("tiny", folder=folder)


def test_a_card_that_cannot_be_kept_leaves_the_old_weights(saved):
    network, folder = saved
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(TypeError, match="A object cannot be kept"):
        save_model("tiny", tiny(seed=1), CARD | dict(what=object()), folder=folder)
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
