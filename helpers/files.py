"""Files that are replaced at once, so that a kill leaves the old one or the new one whole."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from pathlib import Path

import torch


def write_json(file: Path, content: dict) -> None:
    """Replaces a JSON file at once, so that a kill leaves the old one or the new one whole."""
    half = file.with_suffix(".half")
    half.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(half, file)


def save_state(path: Path, state: dict) -> None:
    """Writes a checkpoint so that a kill at any moment leaves this one or the one before it whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    half = path.with_name(path.name + ".half")
    with open(half, "wb") as file:
        file.write(hashlib.sha256(buffer.getbuffer()).digest())
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    if whole(path) is not None:  # a damaged one must not push out the good one before it
        os.replace(path, previous(path))
    os.replace(half, path)


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_name(path.name + ".previous")


def whole(path: Path) -> bytes | None:
    """What `torch.save` wrote into a checkpoint, None if it is not there or its checksum is wrong."""
    content = path.read_bytes() if path.exists() else b""
    digest, payload = content[:32], content[32:]
    return payload if content and hashlib.sha256(payload).digest() == digest else None


def load_state(path: Path) -> dict | None:
    """The newest whole checkpoint, None if there is none yet.

    A damaged one is refused with a warning and the one before it is used; RuntimeError if both are damaged.
    """
    path, damaged = Path(path), []
    for candidate in (path, previous(path)):
        if (payload := whole(candidate)) is not None:
            return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        if candidate.exists():
            damaged.append(candidate.name)
            warnings.warn(f"The checkpoint {candidate} is damaged and was not used.", stacklevel=2)
    if damaged:
        raise RuntimeError(
            f"No whole checkpoint is left ({', '.join(damaged)} damaged): delete them in "
            f"{path.parent} to train from the start."
        )
    return None
