"""Rows that are the same in all columns but one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintrain.data.arrays import examples
from twintrain.data.example_store import ExampleStore
from twintrain.data.near_rows import RowHashes, near_rows
from twintrain.data.overlap import check_overlap, overlap
from twintrain.errors import TwintrainError

TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        *[
            st.lists(
                st.lists(st.integers(0, 2), min_size=width, max_size=width), min_size=1, max_size=9
            )
            for _ in range(2)
        ]
    )
)


def hashes(rows: np.ndarray) -> RowHashes:
    found = RowHashes(*rows.shape)
    found.fill(np.arange(len(rows)), list(rows.T))
    return found


@given(TABLES)
def test_it_finds_what_comparing_all_pairs_finds(
    tables: tuple[list[list[int]], list[list[int]]],
) -> None:
    train, test = map(np.array, tables)
    places, usual = near_rows(hashes(train), hashes(test))
    apart = (test[:, None] != train).sum(axis=2)
    assert ((apart <= 1).any(axis=1) == (places >= 0)).all()
    for row, place in enumerate(places):
        assert place < 0 or apart[row, place] <= 1
    own = (train[:, None] != train).sum(axis=2) + 9 * np.eye(len(train), dtype=int)
    assert ((own <= 1).any(axis=1) == usual).all()


def table(rows: np.ndarray, name: str) -> ExampleStore:
    """Five numbers, and a sequence of seven codes."""
    columns = {f"c{place}": rows[:, place].astype(np.float32) for place in range(5)}
    columns["codes"] = np.repeat((rows[:, :1] * 100).astype(np.int64), 7, axis=1)
    return examples(columns, np.zeros(len(rows), np.int64), name)


def test_rows_that_came_again_with_another_figure_stop() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 5))
    again = rows[:100].copy()
    again[:, 3] += 1.0
    found = overlap(table(rows, "train"), table(again, "test"))
    assert (found.repeated, found.near, found.near_looked_at) == (0, 100, 100)
    assert found.usual_near == 0
    assert found.pairs[0] == ("test-00000000", "train-00000000")
    with pytest.raises(TwintrainError, match="100 of 100 looked at are nearly training examples"):
        check_overlap(found, 0.1)


def test_rows_drawn_from_few_values_are_near_as_usual() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, (600, 5))
    found = overlap(table(rows[:400], "train"), table(rows[400:], "test"))
    assert found.near > 20
    assert not found.exceeds(0.0)


def test_of_few_columns_nothing_is_near() -> None:
    rows = {name: np.arange(9.0) for name in "abcd"}
    others = rows | {"d": np.zeros(9)}
    found = overlap(examples(rows, np.zeros(9), "a"), examples(others, np.zeros(9), "b"))
    assert (found.near_looked_at, found.near) == (0, 0)
