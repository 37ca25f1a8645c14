"""Large arrays that are kept for later, in a file instead of in memory.

Of every watched step weights, gradients and the optimizer's state are kept: of a model of three
million weights four gigabytes, of which a few megabytes are looked at at a time. Pages of a file
that are not looked at need not be in memory.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from weakref import WeakSet

import numpy as np

from twintrain.processes.scratch import asked_for_temporary_directory

# Bytes below which an array stays in memory.
LARGE = 1 << 20
# Bytes of a file: each holds many arrays, because a mapping takes an open file, of which a process
# may often have a thousand. It is gone with the last of its arrays.
_FILE = 256 << 20
# Bytes of the disk that are left to others.
_RESERVE = 2 << 30
# Where large temporary files belong; `/tmp` may be memory itself.
_ROOMY = "/var/tmp"  # noqa: S108 - the file has no name
_IN_MEMORY = ("tmpfs", "ramfs")


class _File:
    """A file without a name that is filled from its start on, and mapped as a whole.

    Args:
        size: bytes it has room for; what is not filled takes none.

    Raises:
        OSError: there is no place for it.
    """

    def __init__(self, size: int) -> None:
        folder = _folder(size)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - kept open
        os.ftruncate(self._file.fileno(), size)
        self._map = mmap.mmap(self._file.fileno(), size, prot=mmap.PROT_READ)
        self._size, self._used = size, 0
        _maps.add(self._map)

    def has_room(self, size: int) -> bool:
        return self._used + size <= self._size

    def put(self, array: np.ndarray) -> np.ndarray:
        """Write a contiguous array behind the others.

        Raises:
            OSError: the disk is full.
        """
        content = array.reshape(-1).view(np.uint8).data
        start, written = self._used, 0
        while written < len(content):
            written += os.pwrite(self._file.fileno(), content[written:], start + written)
        self._used += -(-len(content) // mmap.PAGESIZE) * mmap.PAGESIZE
        return np.ndarray(array.shape, array.dtype, self._map, start)


_files: list[_File] = []
_maps: WeakSet[mmap.mmap] = WeakSet()


def on_disk(array: np.ndarray) -> np.ndarray:
    """The same array, which cannot be written to, read from a file that nobody else sees; the array
    itself where it is small, not contiguous or of Python objects, or there is no room for it.
    """
    small = array.nbytes < LARGE
    if small or not array.flags.c_contiguous or array.dtype.hasobject:
        return array
    try:
        if not _files or not _files[-1].has_room(array.nbytes):
            _files[:] = [_File(max(_FILE, array.nbytes))]
        return _files[-1].put(array)
    except OSError:
        return array


def let_go() -> None:
    """Let go of all pages that were looked at; they are read again where they are wanted again."""
    for mapped in list(_maps):
        mapped.madvise(mmap.MADV_DONTNEED)


def _folder(size: int) -> str:
    """Where a file may be.

    Raises:
        OSError: all places are memory, or too full.
    """
    for name in dict.fromkeys([asked_for_temporary_directory() or _ROOMY, tempfile.gettempdir()]):
        usable = os.path.isdir(name) and os.access(name, os.W_OK)
        if usable and not _is_memory(name) and shutil.disk_usage(name).free >= size + _RESERVE:
            return name
    raise OSError(errno.ENOSPC, "no disk has room for it")


def _is_memory(folder: str) -> bool:
    """Whether files of a folder lie in memory, by the mount that it is below."""
    found = (0, "")
    place = os.path.realpath(folder)
    for line in (
        Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    ):
        at, kind = line.split(" ")[1:3]
        within = place == at or place.startswith(f"{at.rstrip('/')}/")
        if within and len(at) >= found[0]:
            found = (len(at), kind)
    return found[1] in _IN_MEMORY


def _begin_anew() -> None:
    """In a forked process: the file is its parent's, which goes on filling it."""
    _files.clear()


os.register_at_fork(after_in_child=_begin_anew)
