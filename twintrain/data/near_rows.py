"""Rows of a table that are nearly those of another: the same in all columns but one.

A row that came again with another date, or with one figure corrected, is no new row. In a table of
few columns of few values many rows are that near by chance; so what is found in a test split is
held against what is usual among training rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

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

    def fill(self, places: npt.NDArray[np.integer], values: list[np.ndarray]) -> None:
        """Hash some rows.

        Args:
            places: of the rows, [k].
            values: each column's values of them, [k, ...].
        """
        for number, column in enumerate(values):
            self._of[number, places] = _hashed(column, number)

    def without_one(self) -> Iterator[Hashes]:
        """For each column, a hash of every row without it, [rows]."""
        whole = self._of.sum(axis=0, dtype=np.uint64)
        for column in self._of:
            yield whole - column

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._of.shape[1]


def near_rows(
    train: RowHashes, test: RowHashes
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Which test rows, and which training rows, are the same as a training row, another one, in all
    columns but one; those that are the same in all are among them.

    Returns:
        of each test row the place of such a training row, -1 where there is none; and of each
        training row whether there is one.
    """
    places, usual = np.full(test.rows, -1), np.zeros(train.rows, bool)
    for ours, theirs in zip(train.without_one(), test.without_one(), strict=True):
        values, first, number, times = np.unique(
            ours, return_index=True, return_inverse=True, return_counts=True
        )
        usual |= times[number] > 1
        at = np.searchsorted(values, theirs).clip(max=len(values) - 1)
        found = values[at] == theirs
        places[found] = first[at[found]]
    return places, usual


def _hashed(column: np.ndarray, number: int) -> Hashes:
    """A hash of each row's bytes; other columns' hashes of the same bytes are others."""
    rows = np.ascontiguousarray(column).reshape(len(column), -1).view(np.uint8)
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
