"""Rows of a table that are nearly those of another: the same in all columns but one.

A row that came again with one figure corrected is no new row; one of the same customer in another
month is. In a table of few columns of few values many rows are that near by chance. So it is told
how many there are, and how many are usual among training rows, and somebody has to judge it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

GAPS = "_missing"  # what a column is called that says where another one has gaps
FEWEST_COLUMNS = 5  # of fewer, rows that are the same in all but one are no wonder
Hashes = npt.NDArray[np.uint64]


class RowHashes:
    """Of every row a hash of each of its columns, filled block by block.

    Args:
        rows: how many.
        columns: how many.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._of: Hashes = np.zeros((columns, rows), np.uint64)

    def fill(self, places: npt.NDArray[np.integer], values: list[list[np.ndarray]]) -> None:
        """Hash some rows.

        Args:
            places: of the rows, [k].
            values: each column's values of them, in one array or several, [k, ...].
        """
        for number, parts in enumerate(values):
            self._of[number, places] = _hashed(parts, number)

    def without_one(self) -> Iterator[Hashes]:
        """For each column, a hash of every row without it, [rows]."""
        whole = self._of.sum(axis=0, dtype=np.uint64)
        for column in self._of:
            yield whole - column

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._of.shape[1]


def features_of(columns: Iterable[str]) -> list[list[str]]:
    """Columns that are one to whoever made the table: what preprocessing notes of gaps is a part of
    the column that has them.
    """
    names = sorted(columns)
    own = [name for name in names if name.removesuffix(GAPS) not in {*names} - {name}]
    return [[name, *(other for other in names if other == name + GAPS)] for name in own]


def near_rows(
    train: RowHashes, test: RowHashes
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which test rows, and which training rows, are the same as a training row, another one, in all
    columns but one; those that are the same in all are among them.
    """
    near, usual = np.zeros(test.rows, bool), np.zeros(train.rows, bool)
    for ours, theirs in zip(train.without_one(), test.without_one(), strict=True):
        values, number, times = np.unique(ours, return_inverse=True, return_counts=True)
        usual |= times[number] > 1
        near |= values[np.searchsorted(values, theirs).clip(max=len(values) - 1)] == theirs
    return near, usual


def _hashed(parts: list[np.ndarray], number: int) -> Hashes:
    """A hash of each row's bytes; other columns' hashes of the same bytes are others."""
    flat = [np.ascontiguousarray(part).reshape(len(part), -1).view(np.uint8) for part in parts]
    rows = np.concatenate(flat, axis=1)
    words = -(-rows.shape[1] // 8)
    padded = np.zeros((len(rows), 8 * words), np.uint8)
    padded[:, : rows.shape[1]] = rows
    found = _mixed(np.full(len(rows), number + 1, np.uint64))
    for word in padded.view(np.uint64).T:
        found = _mixed(found ^ word)
    return _mixed(found)


def _mixed(values: Hashes) -> Hashes:
    """Each value scattered over 64 bits (the finalizer of SplitMix64: Steele, Lea and Flood 2014,
    Fast Splittable Pseudorandom Number Generators).
    """
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
