"""A shell as people have it: no home folder, an old locale, a home that cannot be written."""

import os
import subprocess
import sys

import pytest

from tools.run import ROOT

# What a first cell does, a page of a notebook, and a file of the student's own.
WORK = """\
from pathlib import Path
from helpers import course
course.setup(minutes={"cpu": 1, "gpu": 1})
from helpers.checkpoints import load_denoiser
from helpers.data import load_faces
from helpers.files import write_json, write_text
from helpers.plots import show_images
faces = load_faces("embedded", "valid", limit=2)
load_denoiser("ddpm-faces")
show_images(faces.images, show=False, title="ε → x̂₀ ✅ khuôn mặt")
write_text(Path("words.txt"), "khuôn mặt ✅")
write_json(Path("a.json"), {"ε": 1})
assert Path("words.txt").read_text(encoding="utf-8") == "khuôn mặt ✅"
print(len(faces))
"""
SURROUNDINGS = {
    "no home": {"HOME": None, "USERPROFILE": None},
    "a home that does not exist": {"HOME": "/nowhere/at/all"},
    "an old locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "a locale that is not installed": {"LC_ALL": "vi_VN.TCVN", "PYTHONIOENCODING": "latin-1:replace"},
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_the_first_cell_runs(surroundings, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    env |= {key: value for key, value in surroundings.items() if value is not None}
    for key in (key for key, value in surroundings.items() if value is None):
        env.pop(key, None)
    code = tmp_path / "cell.py"
    code.write_text(WORK, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(code)], cwd=tmp_path, env=env, capture_output=True, timeout=180
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert (tmp_path / "a.json").exists() and b"Traceback" not in done.stderr
    assert done.stdout.rstrip().endswith(b"2")
