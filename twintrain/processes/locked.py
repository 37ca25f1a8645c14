"""A lock that one process at a time holds, through a file that all of them can reach."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twintrain.errors import TwintrainError


@contextmanager
def locked(path: Path, busy: TwintrainError, *, keep: bool = False) -> Iterator[int]:
    """Hold a lock for as long as the block takes. A process that is killed gives it back.

    Args:
        path: of the file; its folder is made when missing.
        busy: raised where another process holds it.
        keep: leave the file where it is: somebody else may hold the lock through the descriptor.

    Yields:
        the file's descriptor. A process it is handed on to holds the lock as well.

    Raises:
        TwintrainError: `busy`.
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _taken(path, busy)
    try:
        yield handle
    finally:
        if not keep:
            path.unlink(missing_ok=True)
        os.close(handle)


def _taken(path: Path, busy: TwintrainError) -> int:
    """A descriptor of the locked file."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise busy from None
        # Whoever held it may have deleted the file since it was opened: then it locks nothing.
        if os.path.exists(path) and os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
        os.close(handle)
