"""Session parameterisations: the table of targets, its scores and its judge."""

import json
import math

import pytest
import torch

from experiments import targets
from helpers.course import ROOT
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.exact import MixtureDenoiser
from helpers.schedules import make_schedule

RESULTS = ROOT / "experiments" / "targets.json"


def test_energy_distance_by_value():
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    # 2 · mean(1, 5, 1, 3) − 2 − 4
    assert targets.energy_distance(a, b) == pytest.approx(5 - 2 - 4)


def test_energy_distance_tells_a_shift_and_is_not_biased():
    """Between N(0, 1) and N(m, 1): 2 E|N(m, 2)| − 2 E|N(0, 2)|; between samples of one law 0 on average."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3000, 1, generator=generator)
    m = 1.0
    folded = 2 / math.sqrt(math.pi) * math.exp(-(m**2) / 4) + m * math.erf(m / 2)
    wanted = 2 * folded - 2 * 2 / math.sqrt(math.pi)
    assert targets.energy_distance(a, b + m) == pytest.approx(wanted, abs=0.05)
    small = [targets.energy_distance(*torch.randn(2, 20, 2, generator=generator)) for _ in range(400)]
    mean = torch.tensor(small)
    assert abs(mean.mean()) < 4 * mean.std() / 20


def test_digits_are_cut_without_overlap():
    train, held_out = targets.digits()
    assert len(train) == targets.TRAINED and len(held_out) == targets.JUDGED
    assert float(torch.cdist(train.flatten(1), held_out.flatten(1)).min()) > 0


def test_errors_and_loss_of_an_exact_denoiser():
    """Data N(0, ½²): the error of the best guess is s²·noise²/(signal²·s² + noise²) at every t."""
    table = make_schedule("cosine")
    exact = MixtureDenoiser(table, torch.zeros(1, 4), 0.5)
    x0 = 0.5 * torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    predict = Denoiser(lambda x, t: exact(x, t)[0], table, "x0")
    for t, found in zip(targets.TIMES, targets.errors(predict, x0), strict=True):
        signal2, noise2 = float(table.signal[t]) ** 2, float(table.noise[t]) ** 2
        assert found == pytest.approx(0.25 * noise2 / (0.25 * signal2 + noise2), rel=0.05)
    t = torch.arange(1, 1001)
    signal2, noise2 = table.signal[t] ** 2, table.noise[t] ** 2
    wanted = float((0.25 * noise2 / (0.25 * signal2 + noise2)).mean())
    assert targets.own_loss(predict, x0) == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("target", ["eps", "score"])
def test_noise2_and_min_snr_weights(target):
    """noise² makes the score's loss that of ε."""
    table, x0 = make_schedule("linear"), torch.rand(50, 6) * 2 - 1

    def answers_in(name):
        return Denoiser(lambda x, t: x if name == "eps" else -x / table.at(t, x)[1], table, name)

    seeds = [torch.Generator().manual_seed(0) for _ in range(2)]
    weight = targets.weight(target, "noise²" if target == "score" else "own")
    one = diffusion_loss(answers_in(target), x0, seeds[0], weight)
    other = diffusion_loss(answers_in("eps"), x0, seeds[1])
    assert torch.allclose(one, other, rtol=1e-4)


def test_a_new_network_answers_nothing():
    network = targets.Network(4)
    assert network(torch.randn(3, 1, 2, 2), torch.tensor([1, 5, 9])).abs().max() == 0


@pytest.mark.skipif(not RESULTS.exists(), reason="python -m experiments.targets comes first")
def test_the_table_is_complete_and_says_what_the_lecture_says():
    results = json.loads(RESULTS.read_text())
    wanted = {(d, f"{s}, {t}, {w}, seed {n}") for d, s, t, w, n in targets.runs()}
    assert wanted == {(d, key) for d in ("digits", "roll") for key in results[d]}
    digits, floor = results["digits"], results["floor"]["fd"]

    def fd(schedule, target, weight="own"):
        return [digits[f"{schedule}, {target}, {weight}, seed {n}"]["fd"] for n in range(3)]

    for schedule in ("linear", "cosine"):
        assert floor < min(fd(schedule, "x0"))
        assert max(fd(schedule, "x0")) < min(fd(schedule, "v")) < max(fd(schedule, "v"))
        assert max(fd(schedule, "v")) < min(fd(schedule, "eps"))
    for seed in range(3):
        run = digits[f"cosine, eps, own, seed {seed}"]
        assert run["fd_unclipped"] > 10 * run["fd"]
