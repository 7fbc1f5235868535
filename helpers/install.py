"""Installs what a running notebook lacks and changes nothing that is there (Colab). Standard library only."""

import importlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from . import profile


def install_missing():
    """Install the course's dependencies that are not here, changing nothing that is; return them.

    Raises RuntimeError if torch is missing, if a package that is here would have to be changed
    (everything is left as it was), or if pip fails.
    """
    missing = [need for need in _needs() if not _installed(name_of(need))]
    if not missing:
        return []
    if "torch" in map(name_of, missing):
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


def _needs():
    """The dependencies in pyproject.toml that a running notebook can lack."""
    project = tomllib.loads((profile.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    front = {"jupyterlab", "ipykernel"}  # whoever runs a cell has a front end, perhaps another one
    return [need for need in project["dependencies"] if name_of(need) not in front]


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement).group()


def _installed(name):
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def _why(pip, missing):
    """One sentence out of pip's many."""
    what = f"{', '.join(map(name_of, missing))} could not be installed"
    if clash := re.findall(r"requested \(constraint\) (\S+)", pip):
        clash = ", ".join(sorted(set(clash)))
        return f"{what} and nothing was changed: that would change {clash}, which is already here."
    said = re.findall(r"^ERROR: (.*)", pip, re.M) or [line for line in pip.splitlines() if line.strip()]
    reason = said[-1].strip() if said else "nothing"
    away = re.search(
        r"No matching distribution|Could not find a version|connection|resolve|timed out", pip, re.I
    )
    return f"{what}: pip says {reason!r}." + (" Is there a network?" if away else "")
