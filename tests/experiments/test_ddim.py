"""Session ddim: the benchmark's noise, parts and claims, and the stored table."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from experiments import ddim, ddim_scores
from helpers.checkpoints import load_model
from helpers.course import ROOT
from helpers.data import load_faces
from helpers.diffusion import Denoiser
from helpers.features import extract
from helpers.files import load_state
from helpers.metrics import frechet_distance, moments
from helpers.schedules import make_schedule

TABLE = ROOT / "experiments" / "ddim.json"
SCHEDULE = make_schedule("cosine", 1000)


def tiny(seen=None):
    """A 'network' that answers with v = 0, so x0 = signal · x; it notes the calls."""

    def network(x, t):
        if seen is not None:
            seen.append((len(x), int(t[0])))
        return torch.zeros_like(x)

    return Denoiser(network, SCHEDULE, "v")


def test_all_rows_begin_at_the_same_noise_and_only_some_go_on_at_random():
    ends = {kind: ddim.draw(tiny(), 4, kind, 0, n=3, side=8) for kind in ddim.KINDS}
    again = {kind: ddim.draw(tiny(), 4, kind, 0, n=3, side=8) for kind in ddim.KINDS}
    assert all(torch.equal(ends[kind], again[kind]) for kind in ends)
    first = [ddim.noise(part, (3, 3, 8, 8), 0)[0] for part in (0, 1)]
    assert not torch.equal(*first) and torch.equal(first[0], ddim.noise(0, (3, 3, 8, 8), 0)[0])
    for kind in ("0", "2M"):  # a function of that noise, so pixel by pixel: its sign stays
        assert (torch.sign(ends[kind]) == torch.sign(first[0])).float().mean() > 0.99, kind
    apart = [float((ends[kind] - ends["0"]).abs().mean()) for kind in ("0.2", "0.5", "1")]
    assert 0 < apart[0] < apart[1] < apart[2]
    assert not torch.equal(ends["1"], ends["σ̂"])
    assert not torch.equal(ends["0"], ddim.draw(tiny(), 4, "0", 1, n=3, side=8))


def test_a_part_is_made_once(tmp_path):
    seen = []
    judge = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64 * 64, 5))
    one = ddim.part_of(tmp_path, tiny(seen), judge, 2, "σ̂", 0)
    assert one["features"].shape == (100, 5)
    assert seen == [(50, 1000), (50, 500)] * 2  # two batches of 50, two calls each
    two = ddim.part_of(tmp_path, tiny(seen), judge, 2, "σ̂", 0)
    assert len(seen) == 4 and torch.equal(one["features"], two["features"])
    assert ddim.file_of(tmp_path, 2, "σ̂", 0).exists() and not ddim.file_of(tmp_path, 2, "1", 0).exists()


def test_parts_travel_in_one_file(tmp_path):
    here, there = tmp_path / "weights", tmp_path / "elsewhere" / "weights"
    judge = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64 * 64, 5))
    parts = {p: ddim.part_of(here, tiny(), judge, 2, "σ̂", p) for p in (0, 1)}
    assert torch.equal(parts[0]["features"], parts[0]["features"].half().float())  # nothing is lost
    file = tmp_path / "kept.safetensors"
    ddim.pack(here, file)
    gone = ddim.file_of(here, 2, "σ̂", 1)
    gone.unlink()
    for folder in (here, there):
        ddim.unpack(file, folder)
        for part, wanted in parts.items():
            found = load_state(ddim.file_of(folder, 2, "σ̂", part))
            assert torch.equal(found["features"], wanted["features"])
            assert found["seconds"] == pytest.approx(wanted["seconds"])
            assert found["processor"] == pytest.approx(wanted["processor"])
    ddim.unpack(file, tmp_path / "other weights")
    assert not (tmp_path / "other weights").exists()


def cloud(n, shift, seed):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed)) + torch.tensor([shift, 0, 0, 0])


def test_a_ratio_by_hand_and_its_verdicts():
    """Means 2, 1 and 0.5 away: FD 4, 1 and 0.25; over the floor the ratios are 4, 1/4 and 1."""
    reference, real = cloud(20_000, 0.0, 0), cloud(2000, 0.0, 1)
    near, far = cloud(2000, 1.0, 2), cloud(2000, 2.0, 3)
    worse = ddim_scores.compare(far, near, real, reference)
    assert worse["ratio"] == pytest.approx(4, rel=0.15) and worse["verdict"] == "worse" and worse["n"] == 2000
    assert worse["interval"][0] < worse["ratio"] < worse["interval"][1]
    better = ddim_scores.compare(near, far, real, reference)
    assert better["ratio"] == pytest.approx(0.25, rel=0.15) and better["verdict"] == "as good"
    low, high = better["difference_interval"]
    assert better["difference"] == pytest.approx(-3, rel=0.1) and low < better["difference"] < high < -2
    few = ddim_scores.compare(cloud(200, 0.5, 4), cloud(200, 0.5, 5), real, reference)
    assert few["verdict"] == "open" and few["n"] == 200  # too few to say
    same = ddim_scores.compare(near, near, real, reference)  # drawn again together: no spread at all
    assert same["interval"] == pytest.approx((1, 1)) and same["verdict"] == "as good"
    assert same["difference"] == 0 and same["difference_interval"] == (0, 0)


def test_the_floor_of_n_is_the_mean_over_all_groups_of_n():
    reference, real = cloud(20_000, 0.0, 0), cloud(500, 0.0, 1)
    groups = [
        frechet_distance(real[i : i + 200], reference) for i in (0, 200)
    ]  # the last hundred are too few
    assert groups[0] != groups[1]
    assert ddim_scores.floor_of(real, 200, reference) == pytest.approx(sum(groups) / 2)
    found = ddim_scores.compare(cloud(200, 1.0, 2), cloud(200, 0.5, 3), real, reference)
    assert found["n"] == 200 and found["floor"] == pytest.approx(sum(groups) / 2)


def test_the_floor_is_drawn_again_too_and_who_does_not_rise_above_it_bears_no_ratio():
    reference, real = cloud(20_000, 0.0, 0), cloud(500, 0.0, 1)
    far, near = (torch.tensor([[shift, 0.0, 0.0, 0.0]]).repeat(500, 1) for shift in (2.0, 1.0))
    found = ddim_scores.compare(
        far, near, real, reference
    )  # every draw of these is the same: FD 4 + 4 and 1 + 4
    assert found["ratio"] == pytest.approx(8 / 5, rel=0.02)
    assert 1e-3 < found["interval"][1] - found["interval"][0] < 0.1
    below = ddim_scores.compare(
        far, real + 0, cloud(500, 0.5, 4), reference
    )  # the "longest" is better than real
    assert below["ratio"] < 0 and below["verdict"] == "open"


def test_claims_stand_beside_100_and_the_longest_and_others_go():
    reference, real = cloud(3000, 0.0, 0), cloud(200, 0.0, 1)
    part = [dict(features=cloud(100, 0.4, 2))]
    old = [dict(steps=10, kind="0", beside=beside, n=100) for beside in ("100, 0", "250, 0", "250, σ̂")]
    rows = {(10, "0"): part, (100, "0"): part, (250, "0"): part, (1000, "0"): part, (10, "1"): part}
    kept = ddim_scores.claims(rows, real, reference, old)
    beside = {"100, 0": {10}, "1000, 0": {10, 100, 250}, "250, σ̂": {10}}
    assert {(c["steps"], c["beside"]) for c in kept} == {(s, b) for b, some in beside.items() for s in some}
    few = ddim_scores.claims({(10, "0"): part}, real, reference, old)
    assert len(few) == 3  # a run of few rows throws none away


def test_the_file_grows_row_by_row_and_keeps_the_larger_n(tmp_path):
    reference, real = cloud(3000, 0.0, 0), cloud(200, 0.0, 1)

    def parts(count, shift):
        return [dict(features=cloud(100, shift, s), seconds=50.0, processor=70.0) for s in range(count)]

    file, results = tmp_path / "ddim.json", {}
    rows = {(10, "0"): parts(2, 0.5), (100, "0"): parts(2, 0.4), (100, "σ̂"): parts(1, 0.4)}
    ddim_scores.write(file, results, rows, set(rows), reference, real)
    stored = json.loads(file.read_text())
    row = stored["rows"]["10, 0"]
    assert (row["n"], row["steps"], row["kind"]) == (200, 10, "0")
    assert row["seconds"] == 0.5 and row["processor_seconds"] == 0.7
    assert row["fd"] == pytest.approx(0.25, abs=0.15) and row["interval"][0] < row["fd"] < row["interval"][1]
    over = stored["rows"]["100, σ̂"]["over_zero"]  # both are 0.4 away, and of the same first hundred
    assert over["n"] == 100 and over["excess"] == 0 and "over_zero" not in row
    claims = {(c["steps"], c["beside"]): c for c in stored["claims"]}
    assert set(claims) == {(10, "100, 0"), (10, "100, σ̂")}
    assert claims[10, "100, 0"]["n"] == 200 and claims[10, "100, σ̂"]["n"] == 100
    fewer = {(10, "0"): parts(1, 0.5)}
    ddim_scores.write(file, results, fewer, set(fewer), reference, real)
    stored = json.loads(file.read_text())
    assert stored["rows"]["10, 0"]["n"] == 200 and len(stored["claims"]) == 2
    grown = {(100, "0"): parts(2, 0.4), (100, "σ̂"): parts(2, 0.4)}
    ddim_scores.write(file, results, grown, set(grown), reference, real)
    fewer = {(100, "0"): parts(1, 0.4), (100, "σ̂"): parts(1, 0.4)}
    ddim_scores.write(file, results, fewer, set(fewer), reference, real)
    assert results["rows"]["100, σ̂"]["n"] == results["rows"]["100, σ̂"]["over_zero"]["n"] == 200


def test_the_rounds_are_what_was_promised():
    most = {}
    for n, all_steps, kinds in ddim.ROUNDS:
        for steps in all_steps:
            for kind in kinds:
                most[steps, kind] = max(n, most.get((steps, kind), 0))
    for steps in (5, 10, 20, 50, 100):
        assert all(most[steps, kind] == 2000 for kind in ("0", "0.2", "0.5", "1", "σ̂"))
    assert all(most[250, kind] == 1000 for kind in ("0", "1", "σ̂"))
    assert most[1000, "0"] == most[1000, "σ̂"] == 1000
    assert all(n % ddim_scores.PART == 0 for n, *_ in ddim.ROUNDS)


@pytest.mark.skipif(not TABLE.exists(), reason="python -m experiments.ddim comes first")
def test_the_stored_table():
    stored = json.loads(TABLE.read_text())
    floors = {int(n): fd for n, fd in stored["floor"].items()}
    for name, row in stored["rows"].items():
        assert name == ddim_scores.key(row["steps"], row["kind"]) and row["kind"] in ddim.KINDS
        low, high = row["interval"]
        assert low < row["fd"] < high and row["n"] % ddim_scores.PART == 0 and math.isfinite(row["first"])
        assert row["fd"] > min(floors.values()) and row["processor_seconds"] > 0
        assert row["kind"] == "0" or row["over_zero"]["n"] <= row["n"]
    assert {"5, 0", "5, 1", "5, σ̂", "10, 0"} <= set(stored["rows"])  # lecture ddim draws their first hundred
    assert stored["rows"]["5, 0"]["fd"] > stored["rows"]["10, 0"]["fd"]
    for claim in stored["claims"]:
        low, high = claim["interval"]
        wanted = "as good" if high <= ddim_scores.WITHIN else "worse" if low > ddim_scores.WITHIN else "open"
        assert claim["verdict"] == wanted and low <= claim["ratio"] <= high


@pytest.mark.skipif(not TABLE.exists(), reason="python -m experiments.ddim comes first")
def test_the_stored_features_give_the_stored_distances():
    reference = moments(extract(load_model("face-features"), load_faces("embedded", "train").images))
    rows = json.loads(TABLE.read_text())["rows"]
    with safe_open(TABLE.with_suffix(".safetensors"), "pt") as kept:
        there = set(kept.keys())
        for row in rows.values():
            names = [ddim.file_of(Path(), row["steps"], row["kind"], i).stem for i in range(row["n"] // 100)]
            assert set(names) <= there
            features = torch.cat([kept.get_tensor(name).float() for name in names])
            assert features.shape == (row["n"], 64)
            assert frechet_distance(features, reference) == pytest.approx(row["fd"], rel=1e-4)
            first = frechet_distance(features[:100], reference)
            assert first == pytest.approx(row["first"], rel=1e-4)
