"""Where the course runs and what it may spend: root, profile, device, precision. Light to import."""

import os
import platform
import re
import warnings
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
BUILD = ROOT / "build" / "training"  # what is made on this machine, not committed
PROFILES = ("smoke", "cpu", "gpu")


def profile():
    """The scale to work at: COURSE_PROFILE if it is set, else "gpu" or "cpu" as torch finds.

    Raises ValueError if COURSE_PROFILE is not "smoke", "cpu" or "gpu".
    """
    name = os.environ.get("COURSE_PROFILE")
    if name and name not in PROFILES:
        raise ValueError(f"COURSE_PROFILE is {name!r}, but it can only be one of {PROFILES}.")
    return name or ("gpu" if _cuda() else "cpu")


def pick(*, smoke, cpu, gpu):
    """The value for this profile: `steps = course.pick(smoke=3, cpu=300, gpu=5000)`, where it is used."""
    return {"smoke": smoke, "cpu": cpu, "gpu": gpu}[profile()]


def device():
    """The torch device to use: CUDA where there is one, unless COURSE_PROFILE is "cpu"."""
    import torch

    return torch.device("cuda" if _cuda() and profile() != "cpu" else "cpu")


def autocast(device, wanted=True):
    """A `torch.autocast` to the precision at which `device` is fast (`fast_dtype`), where it is wanted."""
    import torch

    kind = torch.device(device).type
    dtype = fast_dtype(kind)
    enabled = wanted and dtype != torch.float32
    return torch.autocast(kind, dtype if enabled else torch.bfloat16, enabled=enabled)


def fast_dtype(kind):
    """The precision for a device of this kind ("cpu", "cuda", …): bf16 where it is fast, else fp16 on a GPU.

    Older GPUs (Colab's T4) have fp16 alone; training in it needs a scaled loss (`fit` does that). On a
    processor without instructions for bf16 convolutions are up to eight times slower in it: there, float32.
    """
    import torch

    if fast_bf16(kind):
        return torch.bfloat16
    return torch.float16 if kind == "cuda" else torch.float32


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


def device_name():
    """The GPU's name, or the processor's kind and the threads in use, for cards and tables."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU ({platform.machine()}, {threads} thread{'s' * (threads > 1)})"


@cache
def _cuda():
    import torch

    return torch.cuda.is_available() and _has_kernels(torch.cuda)


def _has_kernels(cuda):
    """Has this torch code for the GPU that is there? "Available" is said of cards that are too old, too."""
    major, minor = cuda.get_device_capability()
    built = [re.match(r"(sm|compute)_(\d+)", name) for name in cuda.get_arch_list()]
    for kind, number in (found.groups() for found in built if found):
        there, step = divmod(int(number), 10)
        if (there == major and step <= minor) or (kind == "compute" and there < major):
            return True
    warnings.warn(
        f"The GPU ({cuda.get_device_name()}, capability {major}.{minor}) is not one that this PyTorch has "
        "code for, so the course runs on the processor.",
        stacklevel=3,
    )
    return False
