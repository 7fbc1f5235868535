"""The search for the learning rate, the trainings of equal minutes, and their distances."""

import math
import types

import pytest
import torch

from benchmarks import quality
from benchmarks.bench import FULL
from benchmarks.common import BATCH, COMPILED, PLAIN, SETTINGS, Images
from benchmarks.figures import value, with_interval
from benchmarks.peers import peers
from benchmarks.results import Results
from helpers.metrics import moments


def test_the_rate_search_goes_on_at_its_edges():
    assert quality.beyond(2e-3, (5e-4, 1e-3, 2e-3)) == [4e-3]
    assert quality.beyond(5e-4, (5e-4, 1e-3, 2e-3)) == [2.5e-4]
    assert quality.beyond(1e-3, (5e-4, 1e-3, 2e-3)) == []


def test_the_headline_takes_the_best_rate_and_only_the_best_peer_three_times(tmp_path, monkeypatch):
    names = ("this project", "good", "bad")
    settings = dict.fromkeys(SETTINGS, dict(median=9.0))
    training = {n: settings | {"bf16": dict(median=0.5 if n == "bad" else 0.25)} for n in names}
    calls = []

    def score(peer, data, reference, lr, steps, n, setting, checkpoint):
        calls.append((checkpoint.name, lr, steps, n, setting))
        edge = {"this project": 1e-3, "good": 4e-3, "bad": 1.25e-4}[peer.name]  # the best rate of each
        off = abs(math.log2(lr / edge))
        return dict(fd=None if peer.name == "bad" and lr > 1e-3 else off + 100 / steps, rate=lr, n=n)

    monkeypatch.setattr(quality, "train_and_score", score)
    results = Results(tmp_path / "bench.json", tmp_path / "unfinished")
    rivals = {name: types.SimpleNamespace(name=name) for name in names}
    data = Images(torch.zeros(70, 3, 32, 32))
    monkeypatch.setattr(quality, "load_model", lambda name: None)
    monkeypatch.setattr(quality, "extract", lambda _, x: torch.randn(len(x), 2))
    results.found |= dict(training=training, memory=dict(training=dict.fromkeys(names, {})))
    quality.quality(results, FULL, rivals, data)
    tried = {name: sorted(map(float, results.found["search"][name])) for name in names}
    assert tried["this project"] == [5e-4, 1e-3, 2e-3]
    assert tried["good"] == [5e-4, 1e-3, 2e-3, 4e-3, 8e-3]
    assert tried["bad"] == [1.25e-4, 2.5e-4, 5e-4, 1e-3, 2e-3]  # not beyond a quarter of the first
    chosen = {
        name: {m: r["rate"] for m, r in runs.items()} for name, runs in results.found["quality"].items()
    }
    assert chosen == {
        "this project": {"5": 1e-3, "10": 1e-3, "20": 1e-3},
        "good": {"5": 4e-3, "10": 4e-3, "20": 4e-3},
        "bad": {"10": 1.25e-4},
    }
    assert ("quality-this_project-5.pt", 1e-3, 1200, 1000, "bf16") in calls  # 300 s in steps of 0.25 s
    assert ("search-bad-0.002.pt", 2e-3, 360, 250, "bf16") in calls
    assert len({name for name, *_ in calls}) == len(calls)


def test_compiling_counts_in_the_minutes_of_training():
    training = {s: dict(median=m) for s, m in zip(SETTINGS, (0.4, 0.25, 0.2), strict=True)}
    memory = {COMPILED: dict(first=30.0)}
    assert quality.steps_in(2, training, memory) == (PLAIN, 480)  # compiled: 90 s of 0.2 s are 450 steps
    assert quality.steps_in(5, training, memory) == (COMPILED, 1350)  # 270 s of 0.2 s
    assert quality.steps_in(5, training, {}) == (PLAIN, 1200)
    assert quality.steps_in(0.001, training, memory)[1] == 2


def trained(tmp_path, name="a.pt", **changes):
    """A training of four steps from scratch and its distance on 70 pictures."""
    own = peers()["this project"]
    peer = types.SimpleNamespace(network=own.network, inner=own.inner, sample=own.sample, loss=own.loss)
    peer.__dict__.update(changes)
    features = torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    data = Images(torch.rand(BATCH, 3, 32, 32) * 2 - 1)
    file = tmp_path / name
    return quality.train_and_score(peer, data, moments(features), 1e-3, 2, 70, "bf16", file)


def test_a_training_that_diverges_is_a_result_and_the_next_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.own.STEPS", 2)
    found = trained(tmp_path)
    assert found["fd"] > 0 and found["interval"][0] < found["interval"][1]
    assert found["step"] > 0 and found["steps"] == 2
    again = trained(tmp_path)  # killed while it drew: nothing of the training is left to time
    assert "step" not in again and again["fd"] == pytest.approx(found["fd"])
    lost = trained(
        tmp_path, "b.pt", loss=lambda network, batch, g: network(batch, torch.ones(BATCH).long()).sum() / 0
    )
    assert lost["fd"] is None and value(lost) == math.inf and with_interval(lost) == "diverged"
    assert not (tmp_path / "a.pt").exists()  # only what is not finished is kept
    odd = trained(tmp_path, "c.pt", sample=lambda network, n, side: torch.full((n, 3, side, side), math.nan))
    assert odd["fd"] is None
