"""What a function was given, checked in one place and told in one sentence."""

from __future__ import annotations

import operator

import torch
from torch import Tensor


def whole(value, name: str, least: int | None = 1) -> int:
    """value as Python's int: a whole number of Python, numpy or torch, and not below `least`.

    Raises TypeError for anything else, ValueError for a smaller one.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}.") from None
    if least is not None and number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}.")
    return number


def alike(**tensors: Tensor) -> None:
    """TypeError unless all are tensors, ValueError unless all have one shape (B, …) and lie on one device.

    Nothing is broadcast, and no picture is moved without a word; t, attributes and holes are moved.
    """
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} must be a tensor (B, …), not a {type(x).__name__}.")
        if x.ndim == 0:
            raise ValueError(f"{name} must be a tensor (B, …), one entry for each picture, not a number.")
    if len({x.shape for x in tensors.values()}) > 1:
        told = " and ".join(f"{name} {tuple(x.shape)}" for name, x in tensors.items())
        raise ValueError(f"{told} must have one shape.")
    if len({x.device for x in tensors.values()}) > 1:
        told = ", ".join(f"{name} on {x.device}" for name, x in tensors.items())
        raise ValueError(f"These must lie on one device: {told}; use x.to(device).")


def check_floats(x: Tensor, name: str) -> None:
    """TypeError unless x is a float tensor (B, …)."""
    alike(**{name: x})
    if not x.is_floating_point():
        raise TypeError(f"{name} is {x.dtype}; images here are floats in [−1, 1]: use x / 127.5 - 1.")


def check_images(x: Tensor, name: str = "image") -> Tensor:
    """x unchanged if it is a float tensor (B, …) with values in [−1, 1], else a clear error."""
    check_floats(x, name)
    if x.numel() and not x.abs().max() <= 1 + 1e-4:
        raise ValueError(f"{name} must lie in [−1, 1], but it runs from {x.min():.2f} to {x.max():.2f}.")
    return x


def check_hole(hole: Tensor, x: Tensor) -> Tensor:
    """hole on the device of x (B, C, H, W).

    Raises TypeError unless it is bool, ValueError unless it is (B or 1, 1, H, W).
    """
    alike(hole=hole)
    if hole.dtype != torch.bool:
        raise TypeError(f"A hole is a bool tensor, True where the picture is unknown, not {hole.dtype}.")
    if hole.ndim != 4 or len(hole) not in (1, len(x)) or hole.shape[1:] != (1, *x.shape[2:]):
        raise ValueError(
            f"The hole {tuple(hole.shape)} does not fit the pictures {tuple(x.shape)}: "
            f"it must be ({len(x)}, 1{', '.join(['', *map(str, x.shape[2:])])})."
        )
    return hole.to(x.device)
