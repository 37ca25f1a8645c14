"""All examples of one split, held so that any batch can be gathered by index.

Inputs that went through preprocessing are floats, but many of them carry no more than 256 distinct
values (a scaled 8-bit image does). Those are held as one byte per value plus the table of the
distinct values, which gives every float back bit for bit. What does not fit the recipe's memory
limit is spooled to disk once and read by index from there, so the order of the examples is the same
on both paths.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError
from twintrain.processes.scratch import prefix_of

Chunk = tuple[np.ndarray, np.ndarray, npt.NDArray[np.bytes_]]  # inputs, targets, ids


_BLOCK = 4096  # examples copied or digested at a time


@dataclass(frozen=True)
class ExampleStore:
    """One split, in canonical order (sorted by example id).

    Attributes:
        inputs: [n, *shape], uint8 codes into `palette`, or the values themselves where `palette` is
            None. A memory map when spooled.
        palette: float32 [256], the value each code stands for; None when `inputs` are the values.
        targets: [n, *target shape].
        ids: bytes [n].
        in_memory: whether `inputs` is held in memory.
    """

    inputs: np.ndarray = field(repr=False)
    palette: npt.NDArray[np.float32] | None = field(repr=False)
    targets: np.ndarray = field(repr=False)
    ids: npt.NDArray[np.bytes_] = field(repr=False)
    in_memory: bool = True
    _spool: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example's inputs."""
        return tuple(self.inputs.shape[1:])

    def values(self, indices: npt.NDArray[np.integer]) -> np.ndarray:
        """The inputs at `indices`, [len(indices), *shape]."""
        chosen = self.inputs[indices]
        return chosen if self.palette is None else self.palette[chosen]

    def subset(self, indices: npt.NDArray[np.integer]) -> ExampleStore:
        """A store of only these examples, in the order given; spooled to disk where this one is."""
        targets, ids = self.targets[indices], self.ids[indices]
        if self.in_memory:
            return ExampleStore(self.inputs[indices], self.palette, targets, ids)
        folder = tempfile.TemporaryDirectory(prefix=prefix_of("spool"))
        file = Path(folder.name) / "inputs.npy"
        shape = (len(indices), *self.shape)
        inputs = np.lib.format.open_memmap(file, mode="w+", dtype=self.inputs.dtype, shape=shape)
        for start in range(0, len(indices), _BLOCK):
            inputs[start : start + _BLOCK] = self.inputs[indices[start : start + _BLOCK]]
        inputs.flush()
        readable = np.load(file, mmap_mode="r")
        return ExampleStore(readable, self.palette, targets, ids, in_memory=False, _spool=folder)

    @property
    def digest(self) -> str:
        """SHA-256 over ids, targets and inputs, in order; 64 hexadecimal digits."""
        sha = hashlib.sha256()
        for array in (self.ids, self.targets):
            sha.update(np.ascontiguousarray(array).tobytes())
        for start in range(0, len(self), _BLOCK):
            block = self.values(np.arange(start, min(start + _BLOCK, len(self))))
            sha.update(np.ascontiguousarray(block).tobytes())
        return sha.hexdigest()


def build_store(chunks: Iterable[Chunk], memory_limit_bytes: int) -> ExampleStore:
    """Collect chunks of (inputs, targets, ids), in any order, into one store.

    Args:
        chunks: inputs [m, *shape], targets [m, *target shape] and byte ids [m], m free in each
            chunk, types the same in all.
        memory_limit_bytes: above this size the inputs go to a memory-mapped file in the temporary
            folder.

    Raises:
        TwintrainError: there is no example, or two examples have one id.
    """
    packer = _Packer()
    inputs: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    ids: list[npt.NDArray[np.bytes_]] = []
    spill = _Spill(memory_limit_bytes)
    for chunk_inputs, chunk_targets, chunk_ids in chunks:
        for packed in spill.take(packer.pack(chunk_inputs)):
            inputs.append(packed)
        targets.append(chunk_targets)
        ids.append(chunk_ids)
    if not targets:
        raise TwintrainError(
            "There are no examples to train on.", "Check the input data and its splits."
        )
    all_ids = np.concatenate(ids)
    order = np.argsort(all_ids, kind="stable")
    sorted_ids = all_ids[order]
    repeated = np.nonzero(sorted_ids[1:] == sorted_ids[:-1])[0]
    if len(repeated):
        raise TwintrainError(
            f"Two examples have the id {sorted_ids[repeated[0]].decode(errors='replace')!r}.",
            "Give every example an id of its own; the twins find their examples by it.",
        )
    all_targets = np.concatenate(targets)[order]
    if spill.used:
        return spill.finish(order, packer, all_targets, sorted_ids)
    return ExampleStore(_unify(inputs, packer)[order], packer.palette, all_targets, sorted_ids)


class _Packer:
    """Turns float32 inputs into codes while no more than 256 distinct values have been seen."""

    def __init__(self) -> None:
        self._values: npt.NDArray[np.uint32] = np.empty(0, np.uint32)
        self.fits = True
        self.dtype = np.dtype(np.float32)

    def pack(self, inputs: np.ndarray) -> np.ndarray:
        inputs = np.ascontiguousarray(inputs)
        self.dtype = inputs.dtype
        if self.dtype != np.float32:
            self.fits = False  # integers are as small as they were made
        if not self.fits:
            return inputs
        # Bit patterns rather than values: -0.0 and 0.0 are different, and NaN must not vanish.
        bits = inputs.view(np.uint32)
        new = np.setdiff1d(np.unique(bits), self._values)
        if len(self._values) + len(new) > 256:
            self.fits = False
            return inputs
        self._values = np.concatenate([self._values, new])  # appended: earlier codes stay valid
        order = np.argsort(self._values)
        return order[np.searchsorted(self._values, bits, sorter=order)].astype(np.uint8)

    @property
    def palette(self) -> npt.NDArray[np.float32] | None:
        if not self.fits:
            return None
        table = np.zeros(256, np.float32)
        table[: len(self._values)] = self._values.view(np.float32)
        return table

    def unpack(self, inputs: np.ndarray) -> np.ndarray:
        """Codes given before the values became too many, as floats again."""
        return inputs if inputs.dtype == self.dtype else self._values.view(np.float32)[inputs]


def _unify(inputs: list[np.ndarray], packer: _Packer) -> np.ndarray:
    return np.concatenate(inputs if packer.fits else [packer.unpack(part) for part in inputs])


class _Spill:
    """Keeps chunks in memory up to a limit, then moves all of them to files."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held: list[np.ndarray] = []
        self._size = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: list[Path] = []

    @property
    def used(self) -> bool:
        return self._folder is not None

    def take(self, chunk: np.ndarray) -> Iterator[np.ndarray]:
        """Yields the chunk back while everything still fits in memory."""
        self._size += chunk.nbytes
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

    def _write(self, chunk: np.ndarray) -> None:
        assert self._folder is not None
        path = Path(self._folder.name) / f"{len(self._files):06d}.npy"
        np.save(path, chunk)
        self._files.append(path)

    def finish(
        self,
        order: npt.NDArray[np.intp],
        packer: _Packer,
        targets: np.ndarray,
        ids: npt.NDArray[np.bytes_],
    ) -> ExampleStore:
        assert self._folder is not None
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        first = np.load(self._files[0], mmap_mode="r")
        dtype = np.uint8 if packer.fits else packer.dtype
        file = Path(self._folder.name) / "inputs.npy"
        shape = (len(order), *first.shape[1:])
        inputs = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
        start = 0
        for path in self._files:
            chunk = np.load(path)
            places = position[start : start + len(chunk)]
            inputs[places] = chunk if packer.fits else packer.unpack(chunk)
            start += len(chunk)
            path.unlink()
        inputs.flush()
        readable = np.load(file, mmap_mode="r")
        return ExampleStore(
            readable, packer.palette, targets, ids, in_memory=False, _spool=self._folder
        )
