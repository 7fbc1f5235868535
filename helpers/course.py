"""Where the course runs and what it may spend: root, profile, budgets, set-up. Light to import."""

import importlib
import importlib.metadata
import os
import random
import re
import subprocess
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"

PROFILES = ("smoke", "cpu", "gpu")
BUDGETS = {  # the one table: smoke (tests), cpu (two cores), gpu
    "samples": (4, 16, 64),  # pictures drawn at once
    "sample_steps": (4, 40, 100),  # network calls per picture
    "train_steps": (3, 300, 5_000),
    "batch": (4, 32, 128),
    "faces": (64, 2_000, 12_000),  # pictures read from a data set
    "seconds": (2, 45, 120),  # the longest live training
}


def profile():
    """The scale to work at: COURSE_PROFILE if it is set, else "gpu" or "cpu" as torch finds.

    Raises ValueError if COURSE_PROFILE is not "smoke", "cpu" or "gpu".
    """
    name = os.environ.get("COURSE_PROFILE")
    if name and name not in PROFILES:
        raise ValueError(f"COURSE_PROFILE is {name!r}, but it can only be one of {PROFILES}.")
    return name or ("gpu" if _cuda() else "cpu")


def budget(name):
    """How much of `name` this profile may spend; raises ValueError for a name not in BUDGETS."""
    if name not in BUDGETS:
        raise ValueError(f"There is no budget {name!r}; there are {', '.join(BUDGETS)}.")
    return BUDGETS[name][PROFILES.index(profile())]


def device():
    """The torch device to use: CUDA where there is one, unless COURSE_PROFILE is "cpu"."""
    import torch

    return torch.device("cuda" if _cuda() and profile() != "cpu" else "cpu")


def autocast(device, wanted=True):
    """A `torch.autocast` to bf16 where `device` is fast at it and it is wanted; else it does nothing.

    A processor without instructions for bf16 computes convolutions in it up to eight times slower.
    """
    import torch

    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=wanted and fast_bf16(kind))


@cache
def fast_bf16(kind):
    """Does the device of this kind ("cpu", "cuda", …) have instructions for bf16?"""
    import torch

    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # an older torch does not say
        return False
    here = torch.cpu.get_capabilities()
    return any(here.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def install_missing():
    """Install the course's dependencies that are not here, changing nothing that is; return them.

    Raises RuntimeError if torch is missing, if a package that is here would have to be changed
    (everything is left as it was), or if pip fails.
    """
    missing = [need for need in _needs() if not _installed(_name(need))]
    if not missing:
        return []
    if "torch" in map(_name, missing):
        raise RuntimeError("PyTorch is not installed here: see 'Two commands' in the README.")
    # What is here stays at its version: Colab breaks when its IPython or ipywidgets is upgraded.
    here = {d.name: d.version for d in importlib.metadata.distributions() if d.name and d.version}
    frozen = [f"{n}=={v}" for n, v in here.items() if re.fullmatch(r"\d[\w.!+]*", v)]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "frozen.txt")
        constraints.write_text("\n".join(sorted(frozen)))
        pip = [sys.executable, "-m", "pip", "install", "--no-input", "-c", str(constraints)]
        done = subprocess.run([*pip, *missing], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(_why(done.stdout + done.stderr, missing))
    importlib.invalidate_caches()  # so that this kernel sees them
    return missing


def setup(minutes=None, seed=0):
    """Install what is missing, seed everything, and print device, profile, data and minutes.

    minutes is a table such as {"cpu": 3, "gpu": 1}.
    """
    installed = install_missing()
    import numpy
    import torch

    from .plots import style

    style()
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    if installed:
        print("installed ", ", ".join(map(_name, installed)))
    print("device    ", _describe(device()))
    print("profile   ", profile())
    print("data      ", _data())
    if minutes:
        print("time       about", minutes["gpu" if profile() == "gpu" else "cpu"], "min")


def _needs():
    """The dependencies in pyproject.toml that a running notebook can lack."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    front = {"jupyterlab", "ipykernel"}  # whoever runs a cell has a front end, perhaps another one
    return [need for need in project["dependencies"] if _name(need) not in front]


def _name(requirement):
    return re.match(r"[\w.-]+", requirement).group()


def _installed(name):
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def _why(pip, missing):
    """One sentence out of pip's many."""
    what = f"{', '.join(map(_name, missing))} could not be installed"
    if clash := re.findall(r"requested \(constraint\) (\S+)", pip):
        clash = ", ".join(sorted(set(clash)))
        return f"{what} and nothing was changed: that would change {clash}, which is already here."
    errors = re.findall(r"^ERROR: (.*)", pip, re.M) or ["nothing"]
    return f"{what}: pip says {errors[-1]!r}. Is there a network?"


@cache
def _cuda():
    import torch

    return torch.cuda.is_available()


def _describe(device):
    import torch

    if device.type == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    there = torch.cuda.get_device_properties(device)
    return f"{there.name}, {there.total_memory / 2**30:.0f} GB"


def _data():
    faces = DATA / "faces.parquet"
    if not faces.exists():
        return "no faces here: `make faces` draws them"
    import pyarrow.parquet

    rows = pyarrow.parquet.read_metadata(faces).num_rows
    return f"{rows:,} drawn faces, data/faces.parquet"
