"""All examples of one split, held so that any batch can be gathered by index.

What does not fit the recipe's memory limit is spooled to disk once and read by index from there, so
the order of the examples is the same on both paths.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from twintrain.data.columns import BARE, as_columns, as_inputs
from twintrain.data.example_spec import WEIGHT
from twintrain.data.packing import PackedColumn, Packer
from twintrain.data.spooling import Parts, Spill, spooled_rows
from twintrain.errors import TwintrainError

Inputs = np.ndarray | dict[str, np.ndarray]  # one tensor without a name, or named columns
Chunk = tuple[Inputs, np.ndarray, npt.NDArray[np.bytes_]]  # inputs, targets, ids

_BLOCK = 4096  # examples copied or digested at a time


@dataclass(frozen=True)
class ExampleStore:
    """One split, in canonical order (sorted by example id).

    Attributes:
        columns: what the model is given, in the order of their names; `BARE` is the only one where
            it is given one tensor without a name.
        targets: [n, *target shape].
        ids: bytes [n].
        in_memory: whether the columns are held in memory.
        weights: how much each example counts in the training loss, float32 [n]; None where all
            count alike.
    """

    columns: dict[str, PackedColumn]
    targets: np.ndarray = field(repr=False)
    ids: npt.NDArray[np.bytes_] = field(repr=False)
    in_memory: bool = True
    weights: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    _spool: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example's inputs, where they are one tensor without a name.

        Raises:
            TwintrainError: they are named columns.
        """
        if set(self.columns) != {BARE}:
            raise TwintrainError(
                f"These examples have {len(self.columns)} named columns, each of a shape of its "
                "own.",
                "Ask store.columns[NAME].shape.",
            )
        return self.columns[BARE].shape

    def values(self, indices: npt.NDArray[np.integer]) -> Inputs:
        """The inputs at `indices`, [len(indices), *shape], by column where these are named."""
        return as_inputs({name: column.values(indices) for name, column in self.columns.items()})

    def subset(self, indices: npt.NDArray[np.integer]) -> ExampleStore:
        """A store of only these examples, in the order given; spooled to disk where this one is."""
        targets, ids = self.targets[indices], self.ids[indices]
        weights = None if self.weights is None else self.weights[indices]
        if self.in_memory:
            columns = {
                name: PackedColumn(column.held[indices], column.palette)
                for name, column in self.columns.items()
            }
            return ExampleStore(columns, targets, ids, weights=weights)
        columns, folder = spooled_rows(self.columns, indices, _BLOCK)
        return ExampleStore(columns, targets, ids, False, weights, folder)

    @property
    def digest(self) -> str:
        """SHA-256 over ids, targets, weights and inputs, in order; 64 hexadecimal digits."""
        sha = hashlib.sha256()
        beside = [] if self.weights is None else [self.weights]
        for array in (self.ids, self.targets, *beside):
            sha.update(np.ascontiguousarray(array).tobytes())
        for name, column in self.columns.items():
            sha.update(name.encode())
            for start in range(0, len(self), _BLOCK):
                block = column.values(np.arange(start, min(start + _BLOCK, len(self))))
                sha.update(np.ascontiguousarray(block).tobytes())
        return sha.hexdigest()


def build_store(chunks: Iterable[Chunk], memory_limit_bytes: int) -> ExampleStore:
    """Collect chunks of (inputs, targets, ids), in any order, into one store.

    Args:
        chunks: inputs [m, *shape] (or by column), targets [m, *target shape] and byte ids [m], m
            free in each chunk, columns and types the same in all. A column `WEIGHT`, float32 [m],
            is no input, but how much each example counts.
        memory_limit_bytes: above this size the inputs go to memory-mapped files in the temporary
            folder.

    Raises:
        TwintrainError: there is no example, two examples have one id, or a weight is missing or
            below 0.
    """
    packers: dict[str, Packer] = {}
    held: list[Parts] = []
    weights: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    ids: list[npt.NDArray[np.bytes_]] = []
    spill = Spill(memory_limit_bytes)
    for inputs, chunk_targets, chunk_ids in chunks:
        columns = as_columns(inputs)
        if WEIGHT in columns:
            weights.append(columns.pop(WEIGHT))
        packers = packers or {name: Packer() for name in columns}
        held += spill.take({name: packers[name].pack(part) for name, part in columns.items()})
        targets.append(chunk_targets)
        ids.append(chunk_ids)
    if not targets:
        raise TwintrainError(
            "There are no examples to train on.", "Check the input data and its splits."
        )
    all_ids = np.concatenate(ids)
    order = np.argsort(all_ids, kind="stable")
    sorted_ids = all_ids[order]
    _see_that_ids_differ(sorted_ids)
    all_targets = np.concatenate(targets)[order]
    all_weights = _weights(np.concatenate(weights)[order], sorted_ids) if weights else None
    if spill.used:
        spooled, folder = spill.finish(order, packers)
        return ExampleStore(spooled, all_targets, sorted_ids, False, all_weights, folder)
    together = {
        name: PackedColumn(
            np.concatenate([packer.unify(parts[name]) for parts in held])[order], packer.palette
        )
        for name, packer in packers.items()
    }
    return ExampleStore(together, all_targets, sorted_ids, weights=all_weights)


def _weights(given: np.ndarray, sorted_ids: npt.NDArray[np.bytes_]) -> npt.NDArray[np.float32]:
    weights = given.astype(np.float32)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        first = int(bad.argmax())
        raise TwintrainError(
            f"{int(bad.sum()):,} of {len(weights):,} examples have no weight of 0 or more: "
            f"{sorted_ids[first].decode(errors='replace')} is the first, with {weights[first]:g}.",
            "Give every example a number; 0 leaves one out of the training loss.",
        )
    if not weights.any():
        raise TwintrainError(
            f"All {len(weights):,} examples have the weight 0: nothing would be learned.",
            "Give those that count a number above 0.",
        )
    return weights


def _see_that_ids_differ(sorted_ids: npt.NDArray[np.bytes_]) -> None:
    repeated = np.nonzero(sorted_ids[1:] == sorted_ids[:-1])[0]
    if len(repeated):
        raise TwintrainError(
            f"Two examples have the id {sorted_ids[repeated[0]].decode(errors='replace')!r}.",
            "Give every example an id of its own; the twins find their examples by it.",
        )
