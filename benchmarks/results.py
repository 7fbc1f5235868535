"""What was measured so far, in a file, and the machine that it holds for."""

import contextlib
import importlib.metadata
import json
import platform
import shutil
import time
from pathlib import Path

import torch

from benchmarks.common import BATCH, SIDE, STEPS
from helpers.files import write_json
from helpers.profile import device_name, fast_bf16


class Results:
    """What was measured so far, in a file written after each part; unfinished trainings in a folder."""

    def __init__(self, file: Path, scratch: Path):
        self.file, self.scratch = file, scratch
        if not file.exists():
            shutil.rmtree(scratch, ignore_errors=True)  # those of another run
        self.found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def part(self, *keys: str, make):
        """The value under these keys, made and written if it is not there yet."""
        place = self.found
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        if keys[-1] not in place:
            place[keys[-1]] = make()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.file, self.found)
        return place[keys[-1]]


def processor() -> str:
    """The processor's name as its system tells it, and the instructions that torch uses on it."""
    file, name = Path("/proc/cpuinfo"), platform.processor()
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def machine() -> dict:
    """What the figures hold for."""
    names = ("torch", "diffusers", "denoising-diffusion-pytorch", "smalldiffusion", "accelerate")
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return dict(
        device=device_name(), processor=processor(), python=platform.python_version(),
        date=time.strftime("%Y-%m-%d"), versions=found, batch=BATCH, side=SIDE, sampler_steps=STEPS,
        bf16=fast_bf16("cpu"),
    )  # fmt: skip


def same_machine(begun: dict, here: dict, file: Path) -> None:
    """Ends the run where `file` was begun on another machine or with other versions: no ratio would hold."""
    for what in ("processor", "device", "versions"):
        if begun[what] != here[what]:
            raise SystemExit(
                f"{file.name} was begun with {what} {begun[what]}, here it is {here[what]}: "
                "delete the file to measure all anew, or go on where it was begun."
            )
