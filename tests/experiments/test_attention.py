"""What attention adds: the table and how it is made."""

import json

import pytest
import torch

from experiments import attention
from helpers.profile import ROOT
from helpers.unet import count_parameters

RESULTS = ROOT / "experiments" / "attention.json"


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


@pytest.mark.skipif(not RESULTS.exists(), reason="python -m experiments.attention comes first")
def test_the_ablation_is_complete():
    results = json.loads(RESULTS.read_text())
    runs, floor = results["runs"], results["floor"]
    assert set(runs) == {f"{name}, seed {seed}" for name in attention.NETWORKS for seed in range(3)}
    for name, run in runs.items():
        assert run["attention"] == name.startswith("with,") and name.endswith(f"seed {run['seed']}")
        assert run["parameters"] == count_parameters(attention.build(attention.NETWORKS[name[:-8]], 0))
        assert 0 < run["loss"] < 1 and run["fd"] > floor["fd"] and run["corners"] > floor["corners"]
