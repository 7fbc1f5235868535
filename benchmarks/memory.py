"""The memory that training or sampling takes, and the seconds of the first step, in a fresh process.

    python -m benchmarks.memory NAME SETTING WHAT       what `alone` starts; answers with JSON

WHAT is "training" or "sampling".
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.common import BATCH, SIDE, Images
from benchmarks.peers import peers
from benchmarks.runs import sampling, training_step


def alone(name: str, setting: str, what: str) -> dict:
    """`in_this_process` of training or sampling, in a process of its own that has nothing compiled yet."""
    command = [sys.executable, "-m", "benchmarks.memory", name, setting, what]
    fresh = os.environ | dict(TORCHINDUCTOR_FORCE_DISABLE_CACHES="1")
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=fresh)
    if answer.returncode:
        raise RuntimeError(f"Measuring the memory of {name} failed: {answer.stderr.strip()[-500:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def in_this_process(name: str, setting: str, what: str) -> dict:
    """'mib' by which three training steps, or one draw, raise the peak memory; seconds of the 'first'."""
    peer = peers()[name]
    data = Images(torch.zeros(BATCH * 4, 3, SIDE, SIDE))
    train = what == "training"
    run = training_step(peer, setting, data, SIDE) if train else sampling(peer, setting, SIDE)
    before, start = peak_of_process(), time.perf_counter()
    run()
    first = time.perf_counter() - start
    for _ in range(2 if train else 0):
        run()
    return dict(mib=peak_of_process() - before, first=first)


def peak_of_process() -> float:
    """The most memory that this process has held, in MiB.

    Not ru_maxrss where it can be avoided: on Linux a process begins with that of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10  # KiB
    unit = 1 if platform.system() == "Darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    print(json.dumps(in_this_process(*sys.argv[1:])))
