"""What a notebook says first: `from helpers import course`, then `course.setup(…)`."""

import random

from .install import install_missing, name_of
from .profile import DATA, ROOT, autocast, device, pick, profile

__all__ = ["DATA", "ROOT", "autocast", "device", "pick", "profile", "setup"]


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
        print("installed ", ", ".join(map(name_of, installed)))
    print("device    ", _describe(device()))
    print("profile   ", profile())
    print("data      ", _data())
    if minutes:
        print("time       about", minutes["gpu" if profile() == "gpu" else "cpu"], "min")


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
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_metadata(faces).num_rows
    except (pyarrow.ArrowInvalid, OSError):
        return "data/faces.parquet cannot be read: `make faces` draws it again"
    return f"{rows:,} drawn faces, data/faces.parquet"
