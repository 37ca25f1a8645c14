"""Arrays kept on disk so that damage to them is seen: a digest over the content, and the generation
before the newest one.

PATH            the newest
PATH.before     the one before it
PATH.damaged    what was found damaged last, for whoever wants to know
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twintrain.errors import TwintrainError, shortened
from twintrain.processes.replacing import replacing

_DIGEST = "digest"


class DamagedError(Exception):
    """A file does not hold what was written: why, as a clause."""


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a generation; the newest one becomes the one before it.

    Args:
        path: of the newest; its folder must be there.
        arrays: by name, of plain dtypes.

    Raises:
        OSError: it cannot be brought to the disk; what was there stands.
    """
    content: dict[str, Any] = {_DIGEST: np.array(digest_of(arrays)), **arrays}
    with replacing(path) as partial:
        with partial.open("wb") as file:
            np.savez(file, **content)
        _keep(path)


def _keep(path: Path) -> None:
    """Give the newest generation its second name, before another takes its first."""
    if not path.exists():
        return
    before = _before(path)
    try:
        with replacing(before) as link:
            os.link(path, link)
    except OSError:  # a file system without links: for a moment there is only the one before
        path.replace(before)


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a generation.

    Raises:
        FileNotFoundError: there is none.
        DamagedError: they are not those that were written.
        TwintrainError: it may not be read.
    """
    try:
        # Opened here: NumPy leaves a file open that it cannot make sense of.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        wanted = str(arrays.pop(_DIGEST))
    except FileNotFoundError:
        raise
    except PermissionError as error:
        problem = f"{path} cannot be read: {error.strerror}."
        raise TwintrainError(problem, "Check its mode and owner.") from error
    except Exception as error:
        # Whatever zipfile, NumPy and the header's parser make of bytes that were changed.
        said = shortened(" ".join(str(error).split()), 100)
        raise DamagedError(f"{type(error).__name__}: {said}") from error
    if digest_of(arrays) != wanted:
        raise DamagedError("its content is not what was written")
    return arrays


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and values; 64 hexadecimal digits."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def generations(path: Path) -> Iterator[Path]:
    """Where generations lie, the newest first; there or not."""
    yield path
    yield _before(path)


def put_aside(path: Path, newest: Path) -> Path:
    """Take a damaged generation out of the way.

    Args:
        path: of the damaged one.
        newest: of the newest generation, which names where it goes.

    Returns:
        where it is now.

    Raises:
        TwintrainError: it cannot be moved.
    """
    aside = newest.with_name(f"{newest.name}.damaged")
    try:
        # Of several processes that found it, one moves it.
        with contextlib.suppress(FileNotFoundError):
            path.replace(aside)
    except OSError as error:
        raise TwintrainError(
            f"{path} is damaged, and cannot be moved away: {error.strerror}.", "Delete it."
        ) from error
    return aside


def forget(path: Path) -> None:
    """Delete all generations, and what was put aside."""
    for left in (*generations(path), path.with_name(f"{path.name}.damaged")):
        left.unlink(missing_ok=True)


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.before")
