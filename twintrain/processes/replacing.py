"""Files that are there whole or not at all, whatever ends the process that writes them.

    with replacing(folder / "record.json") as partial:
        partial.write_text(text)

Until the block has ended well the old file stands; after it the new one survives a power failure
too.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file under, which then takes `path`'s place.

    Args:
        path: of the file in the end; its folder must be there.

    Yields:
        the temporary name. Nothing is left under it if the block raises; what a process that was
        killed has left is taken away by the next one of the same machine that writes `path`.

    Raises:
        OSError: it cannot be brought to the disk or given its name; the old file stands.
    """
    _take_away_leftovers(path)
    partial = path.with_name(
        f".{path.name}.{this_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.partial"
    )
    try:
        yield partial
        put_in_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) so that a reader sees the old one or the new, never half of it.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def put_in_place(partial: Path, path: Path) -> None:
    """Give a finished file or folder its name, for good: content and name are on the disk when this
    returns.

    Args:
        partial: in the same folder as `path`, or at least on the same file system.
        path: a file that is there is replaced; a folder that is there must be empty.

    Raises:
        OSError: it cannot be brought to the disk, or `path` is a folder that is not empty.
    """
    for written in (*_below(partial), partial):
        _sync(written)
    partial.replace(path)
    _sync(path.parent)


def _below(written: Path) -> list[Path]:
    return list(written.rglob("*")) if written.is_dir() else []


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems write folders at once and know no fsync of them.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(handle)


def _take_away_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose process has ended without being able to."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{this_machine()}-*.partial"):
        process = left.name.split(".")[-2].split("-")[1]
        if not is_running(int(process)):
            left.unlink(missing_ok=True)


def this_machine() -> str:
    """Where the numbers of processes are those of this process: folders may be shared by several
    machines, and a machine by several containers.
    """
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]


def is_running(process: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
