"""Files that are replaced at once, by anyone, of anything."""

import errno
import json
import math
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.files import alone, load_state, plain, replacing, save_state, write_json, write_text
from helpers.profile import ROOT

NUMBERS = st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False, width=32))
KINDS = [np.float32, np.float64, np.int64, torch.tensor, np.asarray, float, lambda x: torch.tensor([x])[0]]


@settings(max_examples=60, deadline=None)
@given(number=NUMBERS, kind=st.sampled_from(KINDS), nested=st.booleans())
def test_a_number_of_any_library_is_kept_and_read_back(tmp_path_factory, number, kind, nested):
    """numpy scalars, 0-d tensors and arrays are saved as numbers, in JSON and in checkpoints."""
    folder, value = tmp_path_factory.mktemp("any"), kind(number)
    content = {"a": [value, {"b": value}]} if nested else {"a": value}
    write_json(folder / "x.json", content)
    again = json.loads((folder / "x.json").read_text("utf-8"))
    back = again["a"][1]["b"] if nested else again["a"]
    assert math.isclose(back, float(value), rel_tol=1e-6)
    save_state(folder / "x.pt", plain(content))
    assert load_state(folder / "x.pt") == again


@pytest.mark.parametrize(
    "bad", [object(), {1, 2}, lambda: 0, b"bytes"], ids=["object", "set", "call", "bytes"]
)
def test_what_cannot_be_kept_is_refused_before_anything_is_touched(tmp_path, bad):
    file = tmp_path / "card.json"
    write_json(file, {"fd": 1.5})
    before = file.read_bytes()
    with pytest.raises(TypeError, match="cannot be kept in a file"):
        write_json(file, {"fd": 2.5, "more": [bad]})
    assert file.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["card.json"]


@pytest.mark.parametrize("moment", ["writing", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, moment):
    file = tmp_path / "a.txt"
    write_text(file, "old")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    if moment == "replace":
        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        with replacing(file) as half:
            half.write_text("new")
            if moment == "writing":
                full()
    monkeypatch.undo()
    assert file.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="a.json cannot be written .*: choose another place"):
        write_json(tmp_path / "file" / "a.json", {})
    with pytest.raises(OSError, match="cannot be written"), alone(tmp_path / "file" / "c.pt"):
        pass


def test_the_home_folder_is_meant_by_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_json("~/deep/x.json", {"a": 1})
    save_state("~/x.pt", {"a": 1})
    assert (tmp_path / "deep" / "x.json").exists() and load_state("~/x.pt") == {"a": 1}
    assert not Path("~").exists()


def test_permissions_are_those_of_a_new_file(tmp_path):
    (tmp_path / "plain.txt").write_text("x")
    write_text(tmp_path / "ours.txt", "x")
    assert os.stat(tmp_path / "ours.txt").st_mode == os.stat(tmp_path / "plain.txt").st_mode


def write_often(file, letter):
    for _ in range(200):
        write_json(file, {"who": letter * 5000})


def test_two_writers_at_once_leave_a_whole_file(tmp_path):
    file, fork = tmp_path / "a.json", multiprocessing.get_context("fork")
    workers = [fork.Process(target=write_often, args=(file, letter)) for letter in "ab"]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        if file.exists():
            assert json.loads(file.read_text("utf-8"))["who"] in ("a" * 5000, "b" * 5000)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def elsewhere(path):
    """What another process says that wants to hold this file."""
    code = f"from helpers.files import alone\nwith alone({str(path)!r}): print('held')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


def test_a_second_training_is_told(tmp_path):
    with alone(tmp_path / "a.pt"):
        assert "RuntimeError: Another process trains" in elsewhere(tmp_path / "a.pt")
        assert elsewhere(tmp_path / "b.pt") == "held\n"
        with alone(tmp_path / "a.pt"):  # the same process may: its cell was interrupted and is run again
            pass
        assert "Another process trains" in elsewhere(tmp_path / "a.pt")
    assert elsewhere(tmp_path / "a.pt") == "held\n"


def test_a_foreign_file_is_not_called_to_be_deleted(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights of somebody")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(RuntimeError) as error:
        load_state(tmp_path / "model.safetensors")
    assert "was not written by `fit`" in str(error.value) and "delete" not in str(error.value)
