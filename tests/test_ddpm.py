"""Session 05: the ablation of attention, and the recipe for CelebA."""

import json
import sys

import pytest
import torch

from benchmarks import attention
from helpers.course import ROOT
from helpers.unet import UNet, count_parameters
from tools import checkpoints

RESULTS = ROOT / "benchmarks" / "attention.json"


def test_corners_of_pictures_by_value():
    x = torch.zeros(2, 3, 32, 32)
    assert attention.corners(x) == 0
    x[0, 0, :3, :3] = 0.6  # one colour of one picture, on the left
    x[1, 2, :3, -3:] = -0.3  # another one, on the right
    x[:, :, 5:, 5:] = 1.0  # what is not in a corner does not count
    assert attention.corners(x) == pytest.approx((0.6 + 0.3) / 6)


def test_the_two_networks_differ_in_their_attention_only():
    with_it, without = (attention.build(attention.NETWORKS[name], seed=0) for name in ("with", "without"))
    more = set(with_it.state_dict()) - set(without.state_dict())
    # of C channels: norm 2C, qkv 3C·C + 3C, out C·C + C; once down and twice up, and in the middle
    weights = {c: 2 * c + 3 * c * c + 3 * c + c * c + c for c in (32, 64)}
    assert count_parameters(with_it) - count_parameters(without) == 3 * weights[32] + 4 * weights[64]
    assert len(more) == 7 * 6 and not set(without.state_dict()) - set(with_it.state_dict())


@pytest.mark.skipif(not RESULTS.exists(), reason="python -m benchmarks.attention comes first")
def test_the_ablation_is_complete():
    results = json.loads(RESULTS.read_text())
    runs, floor = results["runs"], results["floor"]
    assert set(runs) == {f"{name}, seed {seed}" for name in attention.NETWORKS for seed in range(3)}
    for name, run in runs.items():
        assert run["attention"] == name.startswith("with,") and name.endswith(f"seed {run['seed']}")
        assert run["parameters"] == count_parameters(attention.build(attention.NETWORKS[name[:-8]], 0))
        assert 0 < run["loss"] < 1 and run["fd"] > floor["fd"] and run["corners"] > floor["corners"]


def test_steps_go_with_the_recipe_for_celeba_only(monkeypatch, capsys):
    for arguments in (["ddpm-faces", "--steps", "3"], ["ddpm-celeba", "--steps", "0"]):
        monkeypatch.setattr(sys, "argv", ["checkpoints", *arguments])
        with pytest.raises(SystemExit):
            checkpoints.main()
        assert "--steps is a number of at least 1, and goes with ddpm-celeba" in capsys.readouterr().err


def test_the_recipe_for_celeba(monkeypatch, capsys):
    """A trial trains under a name of its own and keeps nothing; its loss is that of v at 64×64."""
    asked, kept = {}, []

    def load(name, split):
        asked.update(source=name, split=split)
        return torch.zeros(10, 3, 64, 64)

    def train(name, network, data, loss, **recipe):
        asked.update(recipe, name=name, network=network)
        tiny = UNet(widths=(8, 8), attention=(), patch=2)
        batch = {"image": torch.rand(2, 3, 64, 64) * 2 - 1}
        asked["loss"] = loss(tiny, batch, torch.Generator().manual_seed(0)).item()
        return network, 1.0

    monkeypatch.setattr(checkpoints, "load_faces", load)
    monkeypatch.setattr(checkpoints, "train", train)
    monkeypatch.setattr(checkpoints, "save_model", lambda *what: kept.append(what))
    checkpoints.ddpm_celeba(steps=4, compile=False)
    assert (asked["source"], asked["split"], asked["name"]) == ("celeba", "train", "ddpm-celeba-4")
    assert asked["steps"] == 4 and not kept and "4 steps" in capsys.readouterr().out
    assert asked["batch"] % 8 == 0  # can be shared among the GPUs of a machine
    assert 0.3 < asked["loss"] < 3  # the network answers 0, and v has about the variance of the data and of ε
    checkpoints.ddpm_celeba()
    assert asked["name"] == "ddpm-celeba" and asked["steps"] > 10_000
    (name, network, card) = kept[0]
    assert name == "ddpm-celeba" and network is asked["network"]
    assert card["target"] == "v" and "non-commercial" in card["licence"]
