"""make bench: the peers are installed first, and what is measured already is not measured again."""

import json
import subprocess
import types

import pytest
import torch

from benchmarks import bench, quality
from benchmarks.results import Results
from tools import bench as command


def test_with_the_committed_measurements_nothing_is_measured_again(tmp_path, monkeypatch):
    content = (bench.HERE / "bench.json").read_bytes()
    found, file = json.loads(content), tmp_path / "bench.json"
    file.write_bytes(content)
    faces = types.SimpleNamespace(images=torch.zeros(70, 3, 8, 8))
    monkeypatch.setattr(bench, "machine", lambda: found["machine"])
    monkeypatch.setattr(bench, "peers", lambda: dict.fromkeys(found["training"]))  # None cannot be measured
    monkeypatch.setattr(bench, "load_faces", lambda *where: faces)
    monkeypatch.setattr(quality, "load_model", lambda name: None)
    monkeypatch.setattr(quality, "extract", lambda _, x: torch.randn(len(x), 2))
    assert bench.measure(Results(file, tmp_path / "unfinished"), bench.FULL) == found
    assert file.read_bytes() == content


def test_the_peers_are_installed_once_and_a_failure_is_one_sentence(monkeypatch):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "call", lambda *a, **k: 1)
    with pytest.raises(SystemExit, match="pip could not install the peers"):
        command.install()
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: types.SimpleNamespace())
    monkeypatch.setattr(subprocess, "call", lambda *a, **k: pytest.fail("nothing to install"))
    command.install()
