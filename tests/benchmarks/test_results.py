"""What was measured is kept, and goes on only on the machine where it was begun."""

import json

import pytest
import torch

from benchmarks.results import Results, machine, same_machine


def test_a_part_is_measured_once_and_kept(tmp_path):
    file = tmp_path / "bench.json"
    calls = []
    scratch = tmp_path / "unfinished"
    scratch.mkdir()
    results = Results(file, scratch)
    assert not scratch.exists()  # a training of another run
    assert results.part("a", "b", make=lambda: calls.append(1) or 7) == 7
    scratch.mkdir()
    again = Results(file, scratch)
    assert scratch.exists()
    assert again.part("a", "b", make=lambda: calls.append(1) or 8) == 7 and len(calls) == 1
    with pytest.raises(KeyboardInterrupt):
        again.part("c", make=lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert json.loads(file.read_text()) == {"a": {"b": 7}}


def test_a_run_does_not_go_on_with_another_machine_or_other_versions(tmp_path):
    here, file = machine(), tmp_path / "bench.json"
    same_machine(json.loads(json.dumps(here)), here, file)
    assert torch.backends.cpu.get_cpu_capability() in here["processor"] and here["versions"]["torch"]
    for what, other in (("processor", "another (AVX2)"), ("versions", {"torch": "1.0"})):
        with pytest.raises(SystemExit, match=f"bench.json was begun with {what} .*delete the file"):
            same_machine(here | {what: other}, here, file)
