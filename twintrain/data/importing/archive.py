"""A .npz file of somebody else's, opened only when its members hold what their headers promise.

NumPy makes room for what a header asks for before it reads a byte, whatever that is, and lets out
what `zipfile`, `tokenize` and `ast` raise.
"""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twintrain.data.importing.memory import require_memory
from twintrain.data.importing.source import listed
from twintrain.errors import TwintrainError

_ENDING = ".npy"
# Deflate makes at most 1,032 bytes of one.
_MOST_EXPANDED = 1_100
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Archive:
    """The arrays of an open .npz file.

    Attributes:
        path: of the file.
        names: of the arrays.
        remedy: what to do where one cannot be read.
    """

    path: Path
    names: tuple[str, ...]
    remedy: str
    _zip: zipfile.ZipFile

    def read(self, name: str) -> np.ndarray:
        """One array.

        Raises:
            TwintrainError: its header and its size do not agree, it needs more memory than there
                is, or it cannot be read.
        """
        with self._reading(name):
            member = self._zip.getinfo(f"{name}{_ENDING}")
            self._check(member)
            with self._zip.open(member) as file:
                found: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
                file.read(1)  # only at its end the checksum is looked at
                return found

    def _check(self, member: zipfile.ZipInfo) -> None:
        """See that as many bytes follow the header as it asks for, before there is room made for
        them.
        """
        if member.file_size > _MOST_EXPANDED * (member.compress_size + 1):
            raise TwintrainError(
                f"{member.filename} in {self.path} claims {member.file_size:,} bytes, more than "
                f"{member.compress_size:,} compressed ones can hold.",
                self.remedy,
            )
        with self._zip.open(member) as file:
            version = np.lib.format.read_magic(file)
            shape, _, dtype = _READERS[version](file)
            wanted = file.tell() + math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and wanted != member.file_size:
            raise TwintrainError(
                f"{member.filename} in {self.path} has {member.file_size:,} bytes; its header asks "
                f"for {wanted:,}.",
                self.remedy,
            )
        require_memory(member.file_size, f"{member.filename} in {self.path}")

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except TwintrainError:
            raise
        except Exception as error:
            # What NumPy says here advises unpickling, which runs whatever code is in the file.
            raise TwintrainError(
                f"{name} in {self.path} cannot be read as an array.", self.remedy
            ) from error


@contextmanager
def open_archive(path: Path, remedy: str) -> Iterator[Archive]:
    """Open a .npz file.

    Args:
        path: of the file.
        remedy: what to do where it cannot be read.

    Raises:
        TwintrainError: it cannot be read, or a name is in it twice.
    """
    try:
        opened = zipfile.ZipFile(path)
    except Exception as error:  # zipfile lets out whatever a broken directory brings about
        reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        raise TwintrainError(
            f"{path} cannot be read as a NumPy archive (.npz){reason}.", remedy
        ) from error
    with opened:
        members = opened.namelist()
        arrays = [name.removesuffix(_ENDING) for name in members if name.endswith(_ENDING)]
        twice = [name for name, times in Counter(members).items() if times > 1]
        if twice:
            raise TwintrainError(f"{path} holds {listed(twice)} twice.", remedy)
        others = [name for name in members if not name.endswith(_ENDING)]
        yield Archive(path, (*arrays, *others), remedy, opened)
