"""All examples of one split, held so that any batch can be gathered by index.

Images that went through preprocessing are floats, but most of them carry no more than 256 distinct
values (a scaled 8-bit image does). Those are held as one byte per pixel plus the table of the
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

Chunk = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bytes_]]


@dataclass(frozen=True)
class ExampleStore:
    """One split, in canonical order (sorted by example id).

    Attributes:
        pixels: [n, *shape], uint8 codes into `palette`, or float32 where `palette` is None. A
            memory map when spooled.
        palette: float32 [256], the value each code stands for; None when `pixels` are the values
            themselves.
        labels: int64 [n].
        ids: bytes [n].
        in_memory: whether `pixels` is held in memory.
    """

    pixels: np.ndarray = field(repr=False)
    palette: npt.NDArray[np.float32] | None = field(repr=False)
    labels: npt.NDArray[np.int64] = field(repr=False)
    ids: npt.NDArray[np.bytes_] = field(repr=False)
    in_memory: bool = True
    _spool: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return tuple(self.pixels.shape[1:])

    def images(self, indices: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """The float32 images at `indices`, [len(indices), *shape]."""
        chosen = self.pixels[indices]
        return chosen if self.palette is None else self.palette[chosen]

    def subset(self, indices: npt.NDArray[np.integer]) -> ExampleStore:
        """A store of only these examples, in the order given; spooled to disk where this one is."""
        labels, ids = self.labels[indices], self.ids[indices]
        if self.in_memory:
            return ExampleStore(self.pixels[indices], self.palette, labels, ids)
        folder = tempfile.TemporaryDirectory(prefix="twintrain-spool-")
        target = Path(folder.name) / "pixels.npy"
        shape = (len(indices), *self.shape)
        pixels = np.lib.format.open_memmap(target, mode="w+", dtype=self.pixels.dtype, shape=shape)
        for start in range(0, len(indices), 4096):
            pixels[start : start + 4096] = self.pixels[indices[start : start + 4096]]
        pixels.flush()
        return ExampleStore(
            np.load(target, mmap_mode="r"),
            self.palette,
            labels,
            ids,
            in_memory=False,
            _spool=folder,
        )

    @property
    def digest(self) -> str:
        """SHA-256 over ids, labels and image values, in order; 64 hexadecimal digits."""
        sha = hashlib.sha256()
        for array in (self.ids, self.labels):
            sha.update(np.ascontiguousarray(array).tobytes())
        for start in range(0, len(self), 4096):
            sha.update(
                np.ascontiguousarray(
                    self.images(np.arange(start, min(start + 4096, len(self))))
                ).tobytes()
            )
        return sha.hexdigest()


def build_store(chunks: Iterable[Chunk], memory_limit_bytes: int) -> ExampleStore:
    """Collect chunks of (images, labels, ids), in any order, into one store.

    Args:
        chunks: float32 images [m, *shape], int64 labels [m] and byte ids [m], m free in each chunk.
        memory_limit_bytes: above this size the images go to a memory-mapped file in the temporary
            folder.

    Raises:
        TwintrainError: there is no example, or two examples have one id.
    """
    packer = _Packer()
    pixels: list[np.ndarray] = []
    labels: list[npt.NDArray[np.int64]] = []
    ids: list[npt.NDArray[np.bytes_]] = []
    spill = _Spill(memory_limit_bytes)
    for images, chunk_labels, chunk_ids in chunks:
        for packed in spill.take(packer.pack(images)):
            pixels.append(packed)
        labels.append(chunk_labels)
        ids.append(chunk_ids)
    if not labels:
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
    all_labels = np.concatenate(labels)[order]
    if spill.used:
        return spill.finish(order, packer, all_labels, sorted_ids)
    return ExampleStore(_unify(pixels, packer)[order], packer.palette, all_labels, sorted_ids)


class _Packer:
    """Turns float images into codes as long as no more than 256 distinct values have been seen."""

    def __init__(self) -> None:
        self._values: npt.NDArray[np.uint32] = np.empty(0, np.uint32)
        self.fits = True

    def pack(self, images: npt.NDArray[np.float32]) -> np.ndarray:
        images = np.ascontiguousarray(images, np.float32)
        if self.fits:
            # Bit patterns rather than values: -0.0 and 0.0 are different inputs, and NaN must not
            # vanish.
            bits = images.view(np.uint32)
            new = np.setdiff1d(np.unique(bits), self._values)
            if len(self._values) + len(new) <= 256:
                self._values = np.concatenate(
                    [self._values, new]
                )  # appended: codes already given stay valid
                order = np.argsort(self._values)
                return order[np.searchsorted(self._values, bits, sorter=order)].astype(np.uint8)
            self.fits = False
        return images

    @property
    def palette(self) -> npt.NDArray[np.float32] | None:
        if not self.fits:
            return None
        table = np.zeros(256, np.float32)
        table[: len(self._values)] = self._values.view(np.float32)
        return table

    def unpack(self, pixels: np.ndarray) -> npt.NDArray[np.float32]:
        """Codes given before the values became too many, as floats again."""
        return pixels if pixels.dtype == np.float32 else self._values.view(np.float32)[pixels]


def _unify(pixels: list[np.ndarray], packer: _Packer) -> np.ndarray:
    return np.concatenate(pixels if packer.fits else [packer.unpack(part) for part in pixels])


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
            self._folder = tempfile.TemporaryDirectory(prefix="twintrain-spool-")
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
        labels: npt.NDArray[np.int64],
        ids: npt.NDArray[np.bytes_],
    ) -> ExampleStore:
        assert self._folder is not None
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        first = np.load(self._files[0], mmap_mode="r")
        dtype = np.uint8 if packer.fits else np.float32
        target = Path(self._folder.name) / "pixels.npy"
        pixels = np.lib.format.open_memmap(
            target, mode="w+", dtype=dtype, shape=(len(order), *first.shape[1:])
        )
        start = 0
        for path in self._files:
            chunk = np.load(path)
            pixels[position[start : start + len(chunk)]] = (
                chunk if packer.fits else packer.unpack(chunk)
            )
            start += len(chunk)
            path.unlink()
        pixels.flush()
        readable = np.load(target, mmap_mode="r")
        return ExampleStore(
            readable, packer.palette, labels, ids, in_memory=False, _spool=self._folder
        )
