"""Which rows a program gets: its own, cut or dealt out anew by index, each side's preparation left
as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from twintrain.diagnosis.scripts.entries import Entry, map_parts, rows_of, taken
from twintrain.diagnosis.watch.frozen_rows import Rows

# File and line of a call by which rows enter, and how many these are.
Place = tuple[str, int, int]
# Parts of what enters: inputs and targets; (inputs, targets, weights) come as a tuple.
INPUTS, TARGETS = 0, 1


@dataclass(frozen=True)
class Base:
    """What the arrays of an entry are.

    Attributes:
        split: 'train' or 'test'.
        part: 0 for inputs, 1 for targets alone; None where they come together.
        first: place of their first row among all rows of the split.
        count: how many rows they are.
    """

    split: str
    part: int | None
    first: int
    count: int


@dataclass(frozen=True)
class Served:
    """Rows of both splits, and where they are to be put in.

    Attributes:
        bases: by file, line and number of rows of what enters; anything else is left as it is.
        train, test: the rows.
        total, test_total: how many the program has of both splits.
    """

    bases: Mapping[Place, Base]
    train: Rows
    test: Rows | None
    total: int | None
    test_total: int | None

    def arrays(self, entry: Entry, arrays: Any) -> Any:
        """What stands for the arrays of an entry."""
        count = rows_of(arrays)
        base = None if count is None else self.bases.get((entry.file, entry.line, count))
        if base is None:
            return arrays
        inputs, targets = self._places(base)
        if base.part is not None:
            return taken(arrays, targets if base.part == TARGETS else inputs)
        if not isinstance(arrays, tuple) or len(arrays) < 2:
            return taken(arrays, inputs)
        parts = [taken(part, inputs) for part in arrays]
        parts[TARGETS] = taken(arrays[TARGETS], targets)
        return tuple(parts)

    def given(self, given: dict[str, Any]) -> dict[str, Any]:
        """What stands for the arguments of `fit`: data as arrays is replaced."""
        found = dict(given)
        count = rows_of(given.get("x"))
        if count is not None and count == self.total:
            found |= self._replaced(given, Base("train", None, 0, count))
        held = given.get("validation_data")
        if isinstance(held, (tuple, list)):
            found["validation_data"] = self._held_out(tuple(held))
        return found

    def evaluated(self, given: dict[str, Any]) -> dict[str, Any]:
        """What stands for the arguments of `evaluate`."""
        count = rows_of(given.get("x"))
        for split, total in (("test", self.test_total), ("train", self.total)):
            if count is not None and count == total:
                return given | self._replaced(given, Base(split, None, 0, count))
        return given

    def _replaced(self, given: dict[str, Any], base: Base) -> dict[str, Any]:
        inputs, targets = self._places(base)
        named = (("x", inputs), ("y", targets), ("sample_weight", inputs))
        return {
            name: taken(given[name], places)
            for name, places in named
            if given.get(name) is not None
        }

    def _held_out(self, held: tuple[Any, ...]) -> tuple[Any, ...]:
        count = rows_of(held[0])
        if self.test is None or count is None or count != self.test_total:
            return held
        inputs, targets = self._places(Base("test", None, 0, count))
        places = (inputs, targets, inputs)
        return tuple(taken(part, at) for part, at in zip(held, places, strict=False))

    def _places(self, base: Base) -> tuple[np.ndarray, np.ndarray]:
        """Which rows of an entry's arrays to take, for inputs and for targets."""
        rows = self.train if base.split == "train" or self.test is None else self.test
        inputs, targets = rows.places
        within = (inputs >= base.first) & (inputs < base.first + base.count)
        return inputs[within] - base.first, targets[within] - base.first


def block_of(arrays: Any, within: Any) -> int | None:
    """Place in some rows at which others begin, if these follow there one after the other; rows are
    compared as they are.
    """
    one, other = _first_array(arrays), _first_array(within)
    if one is None or other is None or one.shape[1:] != other.shape[1:] or len(one) > len(other):
        return None
    starts = {0, len(other) - len(one)}
    starts |= {int(i) for i in np.flatnonzero(_equal_rows(other, one[0]))[:8]}
    for start in sorted(starts):
        if start + len(one) <= len(other) and np.array_equal(one, other[start : start + len(one)]):
            return start
    return None


def _first_array(arrays: Any) -> np.ndarray | None:
    found: list[np.ndarray] = []
    map_parts(lambda part: found.append(np.asarray(part)), arrays)
    return found[0] if found and found[0].ndim else None


def _equal_rows(rows: np.ndarray, row: np.ndarray) -> np.ndarray:
    return (rows == row).reshape(len(rows), -1).all(axis=1)
