"""Files that are replaced at once: a kill, a full disk or a second writer leaves the old one whole."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside `path`, under a name that no other writer has; at the end it takes the place of `path`.

    Where the block raises, nothing has changed and nothing is left behind. Raises OSError with the place and
    the reason where the folder cannot be written.
    """
    path = Path(path).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".half", dir=path.parent)
    except OSError as error:
        raise type(error)(
            error.errno, f"{path} cannot be written ({error.strerror}): choose another place", str(path)
        ) from None
    os.close(handle)
    half = Path(name)
    try:
        yield half
        with open(half, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(half, 0o666 & ~umask())
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def check_writable(folder: str | Path) -> None:
    """OSError, with its reason, if no file can be written into `folder`; leaves nothing behind."""
    folder = Path(folder).expanduser()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        what = f"{folder} cannot be written ({error.strerror}): choose another place"
        raise type(error)(error.errno, what, str(folder)) from None


def umask() -> int:
    """The mask of the process, by which a new file gets its permissions."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def plain(value):
    """The value as Python has it: numbers of numpy and torch, arrays, paths, tuples become JSON's own kinds.

    Raises TypeError for what has no such form, ValueError for NaN and infinity.
    """
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if hasattr(value, "tolist"):  # numpy and torch, of any number of dimensions
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"A {type(value).__name__} cannot be kept in a file: give numbers, texts, lists or tables."
    )


def write_json(file: str | Path, content: dict) -> None:
    """Replaces a JSON file at once; numbers of numpy and torch are kept as numbers.

    Raises TypeError for what JSON cannot hold, before anything is touched.
    """
    text = json.dumps(plain(content), indent=1, ensure_ascii=False) + "\n"
    write_text(file, text)


def write_text(file: str | Path, text: str) -> None:
    """Replaces a text file at once, in UTF-8 and with the same line ends on every system."""
    with replacing(file) as half:
        half.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Holds the file `path` for this process: RuntimeError where another process has it.

    Loops of one process share it, so that a cell that was interrupted can be run again. It ends with the
    process, however that ends. Raises OSError where the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    path = Path(path).expanduser()
    check_writable(path.parent)  # before hours of work, not after them
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.resolve().with_name(f".{path.name}.lock"), timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise RuntimeError(
            f"Another process trains {path}: wait until it has ended (a notebook that was stopped on the way "
            "holds it until its kernel is restarted), or give this one another name."
        ) from None
    try:
        yield
    finally:
        lock.release()


def save_state(path: str | Path, state: dict) -> None:
    """Writes a checkpoint so that a kill at any moment leaves this one or the one before it whole."""
    path = Path(path).expanduser()
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with replacing(path) as half:
        with open(half, "wb") as file:
            file.write(hashlib.sha256(buffer.getbuffer()).digest())
            file.write(buffer.getbuffer())
        if whole(path) is not None:  # a damaged one must not push out the good one before it
            os.replace(path, previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_name(path.name + ".previous")


def whole(path: Path) -> bytes | None:
    """What `torch.save` wrote into a checkpoint, None if it is not there or its checksum is wrong."""
    content = path.read_bytes() if path.exists() else b""
    digest, payload = content[:32], content[32:]
    return payload if content and hashlib.sha256(payload).digest() == digest else None


def load_state(path: str | Path) -> dict | None:
    """The newest whole checkpoint, None if there is none yet.

    A damaged one is refused with a warning and the one before it is used; RuntimeError if none is whole.
    """
    path, damaged = Path(path).expanduser(), []
    for candidate in (path, previous(path)):
        if (payload := whole(candidate)) is not None:
            return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        if candidate.exists():
            damaged.append(candidate.name)
            warnings.warn(f"The checkpoint {candidate} is damaged and was not used.", stacklevel=2)
    if damaged:
        raise RuntimeError(
            f"No whole checkpoint is left: {', '.join(damaged)} in {path.parent} is damaged, or was not "
            "written by `fit`. Give another name, or move it away to train from the start."
        )
    return None
