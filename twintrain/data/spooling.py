"""Columns that do not fit in memory, in files of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.data.packing import PackedColumn, Packer
from twintrain.processes.scratch import prefix_of

Parts = dict[str, np.ndarray]  # by column


class Spill:
    """Keeps chunks in memory up to a limit, then moves all of them to files.

    Args:
        limit_bytes: of all columns together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held: list[Parts] = []
        self._size = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._chunks = 0

    @property
    def used(self) -> bool:
        """Whether there are files."""
        return self._folder is not None

    def take(self, chunk: Parts) -> Iterator[Parts]:
        """Yields the chunk back while everything still fits in memory."""
        self._size += sum(part.nbytes for part in chunk.values())
        if self._folder is None and self._size > self._limit:
            self._folder = tempfile.TemporaryDirectory(prefix=prefix_of("spool"))
            for held in self._held:
                self._write(held)
            self._held = []
        if self._folder is None:
            self._held.append(chunk)
            yield chunk
        else:
            self._write(chunk)

    def _write(self, chunk: Parts) -> None:
        for place, name in enumerate(chunk):
            np.save(self._file(self._chunks, place), chunk[name])
        self._chunks += 1

    def _file(self, chunk: int, place: int) -> Path:
        # By place: a column's name need not be one a file can have.
        assert self._folder is not None
        return Path(self._folder.name) / f"{chunk:06d}-{place}.npy"

    def finish(
        self, order: npt.NDArray[np.intp], packers: Mapping[str, Packer]
    ) -> tuple[dict[str, PackedColumn], tempfile.TemporaryDirectory[str]]:
        """The columns as memory maps, in order, and the folder that holds them."""
        assert self._folder is not None
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        columns = {
            name: PackedColumn(self._column(place, packer, position), packer.palette)
            for place, (name, packer) in enumerate(packers.items())
        }
        return columns, self._folder

    def _column(self, place: int, packer: Packer, position: npt.NDArray[np.intp]) -> np.ndarray:
        assert self._folder is not None
        first = np.load(self._file(0, place), mmap_mode="r")
        shape = (len(position), *first.shape[1:])
        file = Path(self._folder.name) / f"column-{place}.npy"
        column = np.lib.format.open_memmap(file, mode="w+", dtype=packer.held_dtype, shape=shape)
        start = 0
        for chunk in range(self._chunks):
            path = self._file(chunk, place)
            part = np.load(path)
            column[position[start : start + len(part)]] = packer.unify(part)
            start += len(part)
            path.unlink()
        column.flush()
        return np.load(file, mmap_mode="r")


def spooled_rows(
    columns: Mapping[str, PackedColumn], indices: npt.NDArray[np.integer], block: int
) -> tuple[dict[str, PackedColumn], tempfile.TemporaryDirectory[str]]:
    """Some rows of columns, in files of their own, copied `block` at a time."""
    folder = tempfile.TemporaryDirectory(prefix=prefix_of("spool"))
    found = {}
    for place, (name, column) in enumerate(columns.items()):
        file = Path(folder.name) / f"column-{place}.npy"
        shape = (len(indices), *column.shape)
        rows = np.lib.format.open_memmap(file, mode="w+", dtype=column.held.dtype, shape=shape)
        for start in range(0, len(indices), block):
            rows[start : start + block] = column.held[indices[start : start + block]]
        rows.flush()
        found[name] = PackedColumn(np.load(file, mmap_mode="r"), column.palette)
    return found, folder
