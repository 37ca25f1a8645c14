"""Files that are there whole or not at all, whatever ends the process that writes them.

    with replacing(folder / "record.json") as partial:
        partial.write_text(text)

Until the block has ended well the old file stands; after it the new one survives a power failure
too.
"""

from __future__ import annotations

import os
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
        the temporary name. Nothing is left under it if the block raises.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.partial")
    try:
        yield partial
        put_in_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def put_in_place(partial: Path, path: Path) -> None:
    """Give a finished file or folder its name, for good: content and name are on the disk when this
    returns.

    Args:
        partial: in the same folder as `path`, or at least on the same file system.
        path: a file that is there is replaced; a folder must not be there.
    """
    for written in _files(partial):
        _sync(written)
    partial.replace(path)
    _sync(path.parent)


def _files(written: Path) -> list[Path]:
    return (
        [written, *(inner for inner in written.rglob("*") if inner.is_file())]
        if written.is_dir()
        else [written]
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
