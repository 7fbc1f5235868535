"""make bench: what is counted, compared and written."""

import functools
import json
import math
import subprocess
import types

import pytest
import torch
from torch import nn

from benchmarks import bench
from benchmarks.peers import BATCH, STEPS, Images, peers
from helpers.metrics import moments
from helpers.schedules import cosine
from tools import bench as command


def stub(**answers):
    """A peer whose network is one convolution, and whose sampler calls it as often as it should."""

    class Peer:
        name = "stub"
        times = STEPS

        def network(self, side):
            return nn.Conv2d(3, 3, 3, padding=1, bias=False)

        def inner(self, network):
            return network

        user_network = network

        def call(self, network, x, t):
            return network(x)

        def loss(self, network, batch, generator):
            return network(batch).square().mean()

        def sample(self, network, n, side):
            x = torch.zeros(n, 3, side, side)
            for _ in range(self.times):
                x = network(x)
            return x

    peer = Peer()
    for name, value in answers.items():
        setattr(peer, name, value)
    return peer


def test_the_exponent_is_the_power_of_the_pixels():
    seconds = {side: 0.3 * (side**2) ** 1.25 for side in (16, 32, 64)}
    assert bench.exponent(seconds) == pytest.approx(1.25, abs=1e-12)


def test_the_spread_is_the_median_with_its_quartiles():
    found = bench.spread([4.0, 1.0, 2.0, 3.0, 100.0])
    assert found["median"] == 3.0 and found["low"] == 1.5 and found["n"] == 5
    assert bench.spread([2.0]) == dict(median=2.0, low=2.0, high=2.0, n=1)


def test_runs_take_turns_and_the_first_rounds_do_not_count():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    found = bench.in_turns(runs, rounds=3, skip=1)
    assert "".join(order) == "abababab"
    assert found["a"]["n"] == 3


def test_operations_of_a_step_are_counted_not_assumed():
    forward = 2 * BATCH * 32 * 32 * 3 * 3 * 9
    # backward: the gradient of the weights costs as much again; that of the picture is not needed
    assert bench.operations(stub()) == 2 * forward


def test_overhead_is_the_share_of_a_run_outside_its_own_forwards(monkeypatch):
    now = [0.0]  # seconds of a clock that only the stub moves
    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])
    peer = stub()
    build = peer.network

    def network(side):
        made = build(side)
        made.forward = lambda x: now.__setitem__(0, now[0] + 2.0) or x
        return made

    def draw(network, n, side):
        x = torch.zeros(n, 3, side, side)
        for _ in range(STEPS):
            x = network(x)
            now[0] += 0.5

    def call(network, x, t):
        now[0] += 0.25
        return network(x)

    peer.network, peer.sample, peer.call = network, draw, call
    found = bench.overhead(peer, rounds=3)
    assert found["inside"] == pytest.approx(dict(median=0.2, low=0.2, high=0.2, n=3))  # 25 of 125 seconds
    assert found["alone"] == pytest.approx(dict(median=0.1, low=0.1, high=0.1, n=3))  # 125 − 112.5


def test_overhead_refuses_a_sampler_that_calls_its_network_more_often():
    with pytest.raises(RuntimeError, match="asked its network 51 times in 50 steps"):
        bench.overhead(stub(times=STEPS + 1), rounds=1)


def test_each_picture_size_is_compiled_for_itself():
    """The project's two networks share code; a graph for any size would be slower than what the peers get."""
    seen = []

    def backend(graph, inputs):
        seen.append([x for x in inputs if not isinstance(x, torch.Tensor)])
        return graph.forward

    torch._dynamo.reset()
    for name in ("this project", "this project, pixels not folded"):
        network = peers()[name].network(8)
        network.compile = functools.partial(network.compile, backend=backend)
        how = bench.prepared(peers()[name], network, "bf16, channels-last, compiled")
        assert how == dict(bf16=True, channels_last=True)
        network(torch.zeros(2, 3, 8, 8), torch.tensor([1, 2]))
    torch._dynamo.reset()
    assert len(seen) >= 2 and all(sizes == [] for sizes in seen)


def test_the_rate_search_goes_on_at_its_edges():
    assert bench.beyond(2e-3, (5e-4, 1e-3, 2e-3)) == [4e-3]
    assert bench.beyond(5e-4, (5e-4, 1e-3, 2e-3)) == [2.5e-4]
    assert bench.beyond(1e-3, (5e-4, 1e-3, 2e-3)) == []


def test_the_headline_takes_the_best_rate_and_only_the_best_peer_three_times(tmp_path, monkeypatch):
    names = ("this project", "good", "bad")
    settings = dict.fromkeys(bench.SETTINGS, dict(median=9.0))
    training = {n: settings | {"bf16": dict(median=0.5 if n == "bad" else 0.25)} for n in names}
    asked = []

    def score(peer, data, reference, rate, steps, n, setting, checkpoint):
        asked.append((checkpoint.name, rate, steps, n, setting))
        edge = {"this project": 1e-3, "good": 4e-3, "bad": 1.25e-4}[peer.name]  # the best rate of each
        off = abs(math.log2(rate / edge))
        return dict(fd=None if peer.name == "bad" and rate > 1e-3 else off + 100 / steps, rate=rate, n=n)

    monkeypatch.setattr(bench, "train_and_score", score)
    results = bench.Results(tmp_path / "bench.json", tmp_path / "unfinished")
    rivals = {name: types.SimpleNamespace(name=name) for name in names}
    data = Images(torch.zeros(70, 3, 32, 32))
    monkeypatch.setattr(bench, "load_model", lambda name: None)
    monkeypatch.setattr(bench, "extract", lambda _, x: torch.randn(len(x), 2))
    results.found |= dict(training=training, memory=dict(training=dict.fromkeys(names, {})))
    bench.quality(results, bench.FULL, rivals, data)
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
    assert ("quality-this_project-5.pt", 1e-3, 1200, 1000, "bf16") in asked  # 300 s in steps of 0.25 s
    assert ("search-bad-0.002.pt", 2e-3, 360, 250, "bf16") in asked
    assert len({name for name, *_ in asked}) == len(asked)


def test_compiling_counts_in_the_minutes_of_training():
    plain, fast = bench.PLAIN, "bf16, channels-last, compiled"
    training = {s: dict(median=m) for s, m in zip(bench.SETTINGS, (0.4, 0.25, 0.2), strict=True)}
    memory = {fast: dict(first=30.0)}
    assert bench.steps_in(2, training, memory) == (plain, 480)  # compiled: 90 s of 0.2 s are 450 steps
    assert bench.steps_in(5, training, memory) == (fast, 1350)  # 270 s of 0.2 s
    assert bench.steps_in(5, training, {}) == (plain, 1200)
    assert bench.steps_in(0.001, training, memory)[1] == 2


def trained(tmp_path, name="a.pt", **changes):
    """A training of four steps from scratch and its distance on 70 pictures."""
    own = peers()["this project"]
    peer = types.SimpleNamespace(network=own.network, inner=own.inner, sample=own.sample, loss=own.loss)
    peer.__dict__.update(changes)
    features = torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    data = Images(torch.rand(BATCH, 3, 32, 32) * 2 - 1)
    file = tmp_path / name
    return bench.train_and_score(peer, data, moments(features), 1e-3, 2, 70, "bf16", file)


def test_a_training_that_diverges_is_a_result_and_the_next_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "STEPS", 2)
    monkeypatch.setattr("benchmarks.peers.STEPS", 2)
    found = trained(tmp_path)
    assert found["fd"] > 0 and found["interval"][0] < found["interval"][1]
    assert found["step"] > 0 and found["steps"] == 2
    again = trained(tmp_path)  # killed while it drew: nothing of the training is left to time
    assert "step" not in again and again["fd"] == pytest.approx(found["fd"])
    lost = trained(
        tmp_path, "b.pt", loss=lambda network, batch, g: network(batch, torch.ones(BATCH).long()).sum() / 0
    )
    assert lost["fd"] is None and bench.value(lost) == math.inf and bench.told(lost) == "diverged"
    assert not (tmp_path / "a.pt").exists()  # only what is not finished is kept
    odd = trained(tmp_path, "c.pt", sample=lambda network, n, side: torch.full((n, 3, side, side), math.nan))
    assert odd["fd"] is None


def test_networks_that_answer_0_have_the_same_loss_in_all_libraries():
    """v-prediction on the cosine schedule everywhere: the mean of v² is one number."""
    images = torch.rand(2**15, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    losses = {}
    for name, peer in peers().items():
        network = peer.network(8)
        as_tuple = name == "diffusers"

        def nothing(x, *_, as_tuple=as_tuple, **__):
            return (torch.zeros_like(x),) if as_tuple else torch.zeros_like(x)

        peer.inner(network).forward = nothing
        if hasattr(network, "loss_weight"):  # denoising-diffusion-pytorch weighs v by SNR / (SNR + 1)
            network.loss_weight.fill_(1.0)
        losses[name] = float(peer.loss(network, images, torch.Generator().manual_seed(0)))
    assert len(losses) >= 2
    mean = float(cosine().alphas_cumprod[1:].mean())
    wanted = mean + (1 - mean) / 3  # E v² = ᾱ E ε² + (1 − ᾱ) E x0², and E x0² = 1/3
    assert losses == {name: pytest.approx(wanted, rel=0.01) for name in losses}


def test_all_networks_have_nearly_as_many_parameters():
    counts = {name: bench.count_parameters(peer.network(32)) for name, peer in peers().items()}
    own = counts["this project, pixels not folded"]
    assert own == 3_686_595 and counts["this project"] == 3_694_380
    assert all(0.9 < count / own < 1.1 for count in counts.values()), counts


def test_memory_is_that_of_the_training_also_when_this_process_is_large():
    large = torch.ones(3 * 2**27)  # 1.5 GiB: a child's ru_maxrss would begin with them
    found = bench.alone("this project", "bf16", "training")
    assert large[-1] == 1 and 50 < found["mib"] < 2000, found
    assert found["first"] > 0


def test_a_part_is_measured_once_and_kept(tmp_path):
    file = tmp_path / "bench.json"
    calls = []
    scratch = tmp_path / "unfinished"
    scratch.mkdir()
    results = bench.Results(file, scratch)
    assert not scratch.exists()  # a training of another run
    assert results.part("a", "b", make=lambda: calls.append(1) or 7) == 7
    scratch.mkdir()
    again = bench.Results(file, scratch)
    assert scratch.exists()
    assert again.part("a", "b", make=lambda: calls.append(1) or 8) == 7 and len(calls) == 1
    with pytest.raises(KeyboardInterrupt):
        again.part("c", make=lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert json.loads(file.read_text()) == {"a": {"b": 7}}


def test_a_run_does_not_go_on_with_another_machine_or_other_versions(tmp_path):
    here, file = bench.machine(), tmp_path / "bench.json"
    bench.same_machine(json.loads(json.dumps(here)), here, file)
    assert torch.backends.cpu.get_cpu_capability() in here["processor"] and here["versions"]["torch"]
    for what, other in (("processor", "another (AVX2)"), ("versions", {"torch": "1.0"})):
        with pytest.raises(SystemExit, match=f"bench.json was begun with {what} .*delete the file"):
            bench.same_machine(here | {what: other}, here, file)


def measured():
    """What `measure` would give, with round numbers."""

    def seconds(value):
        return dict(median=value, low=value, high=value, n=3)

    def row(user, best):
        return {
            bench.USER: seconds(user),
            **{s: seconds(best * k) for s, k in zip(bench.SETTINGS, (3, 2, 1), strict=True)},
        }

    def drawn(user, best):
        return {bench.USER: seconds(user), "bf16, channels-last": seconds(best)}

    def score(fd):
        return dict(fd=fd, interval=[fd - 0.4, fd + 0.4], steps=9, rate=2e-3, n=80, setting="bf16",
                    step=0.2)  # fmt: skip

    over = dict(inside=seconds(0.01), alone=dict(seconds(0.012), low=-0.01))
    lost = dict(fd=None, interval=None, steps=9, rate=2e-3, n=80, setting="bf16")
    names = ("this project", "this project, not folded", "other", "slow")
    return dict(
        machine=dict(device="CPU", processor="Chip (AVX2)", python="3", date="today", versions={"torch": "2"},
                     batch=32, side=32, sampler_steps=50, bf16=True),
        parameters=dict.fromkeys(names, 3_700_000),
        training=dict(zip(names, (row(0.4, 0.2), row(0.5, 0.4), row(0.6, 0.25), row(0.9, 0.5)), strict=True)),
        sampling=dict(zip(names, (drawn(4, 2), drawn(5, 4), drawn(5, 3), drawn(9, 8)), strict=True)),
        memory={what: dict.fromkeys(names, {bench.USER: dict(mib=m, first=1.0),
                                            "bf16, channels-last, compiled": dict(mib=m - 10, first=30.0)})
                for what, m in (("training", 100.0), ("sampling", 50.0))},
        peak=dict(operations_per_second=1e12, shapes={}),
        operations=dict.fromkeys(names, 10**11),
        sizes={n: {str(s): seconds(0.1 * (s / 16) ** 2) for s in (16, 32, 64)} for n in names},
        overhead=dict.fromkeys(names, over),
        floor=dict(n=80, fd=0.4),
        quality={"this project": {"5": score(6.0), "10": score(3.0), "20": score(2.0)},
                 "other": {"5": score(9.0), "10": score(5.0), "20": score(4.0)},
                 "this project, not folded": {"5": score(4.0), "10": score(2.5), "20": score(1.5)},
                 "slow": {"10": lost}},
        search=dict.fromkeys(names, {"0.001": score(7.0), "0.002": lost}),
    )  # fmt: skip


def test_goals_say_what_is_met_and_what_is_not():
    lines = bench.goals(measured())
    assert "3.00 (asked: 2): met" in lines[0]  # 0.6 / 0.2
    assert "1.25 (asked: 1.2): met" in lines[1]  # 0.25 / 0.2
    assert "2.50 (asked: 2): met" in lines[2] and "1.50 (asked: 1.2): met" in lines[3]
    assert "forwards alone, with its noise: 1.20 (-1.00…1.20)): 1.00 (asked: 2): met" in lines[4]
    assert lines[5].endswith(
        "after 5 min 6.00 (5.60 … 6.40) against other after 10 min 5.00 (4.60 … 5.40): not met"
    )
    assert lines[6].endswith("4.00 (3.60 … 4.40): met")
    assert "not folded in its best setting over best peer's default: 1.50 (asked: 2): not met" in lines[7]
    assert "0.62 (asked: 1.2): not met" in lines[8] and lines[13].endswith("4.00 (3.60 … 4.40): met")


def test_the_report_and_the_picture_hold_the_figures(tmp_path):
    found = measured()
    text = bench.report(found)
    assert "Chip (AVX2), CPU, Python 3, torch 2" in text
    assert "no instructions for bf16" not in text
    assert "no instructions for bf16" in bench.report(
        found | dict(machine=found["machine"] | dict(bf16=False))
    )
    assert "| this project | 3.70 M | 400 (400…400) | 600 (600…600) |" in text
    memory = "| 100 | 90 | 50 | 40 | 30 "
    assert (
        memory + "| 100 | 50% | 1.00 (1.00…1.00) | 1.20 (-1.00…1.20) |" in text
    )  # 10^11 operations in 0.2 s of 10^12 a second
    assert "| 1.00 |" in text  # four times the pixels, four times the time
    assert "| other | bf16 | 0.002 | 10 | 9 | 200 | 5.00 (4.60 … 5.40) |" in text
    assert "| slow | bf16 | 0.002 | 10 | 9 |  | diverged |" in text
    assert "| slow | 7.00 (6.60 … 7.40) | diverged |" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    readme = bench.in_readme("before <!-- bench -->\nformer\n<!-- /bench --> after", found)
    assert readme.startswith("before <!-- bench -->\n\nChip (AVX2)") and "former" not in readme
    assert "| this project | 80.0 | 160.0 | 8.00 | 16.00 | 3.00 (2.60 … 3.40) |" in readme
    assert readme.endswith("| diverged |\n\n<!-- /bench --> after")
    bench.picture(found, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 5000


def test_a_training_step_changes_the_network_in_each_setting():
    data = Images(torch.rand(BATCH, 3, 8, 8) * 2 - 1)
    for setting in ("bf16", "bf16, channels-last"):
        step = bench.training_step(next(iter(peers().values())), setting, data, 8)
        first, second = step(), step()
        assert second.step == 2 and math.isfinite(first.loss)


def test_the_peers_are_installed_once_and_a_failure_is_one_sentence(monkeypatch):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "call", lambda *a, **k: 1)
    with pytest.raises(SystemExit, match="pip could not install the peers"):
        command.install()
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: types.SimpleNamespace())
    monkeypatch.setattr(subprocess, "call", lambda *a, **k: pytest.fail("nothing to install"))
    command.install()


REPORT = bench.HERE / "RESULTS.md"


@pytest.mark.skipif(not REPORT.exists(), reason="make bench comes first")
def test_the_committed_report_is_that_of_the_committed_measurements():
    found = json.loads((bench.HERE / "bench.json").read_text(encoding="utf-8"))
    assert REPORT.read_text(encoding="utf-8") == bench.report(found)
    readme = bench.README.read_text(encoding="utf-8")
    assert bench.summary(found) in readme and bench.in_readme(readme, found) == readme
    for line in bench.goals(found):
        assert line.endswith(("met", "not met", "intervals overlap"))
    assert found["floor"]["n"] >= 1000
    for runs in found["quality"].values():
        for run in runs.values():
            assert run["n"] >= 1000 and run["interval"][0] <= run["fd"] <= run["interval"][1]
            assert run["fd"] > found["floor"]["fd"]  # better than real faces would be a mistake
