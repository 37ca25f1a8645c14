"""Rows that are the same in all columns but one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twintrain.data.arrays import examples
from twintrain.data.example_store import ExampleStore
from twintrain.data.near_rows import RowHashes, features_of, near_rows
from twintrain.data.overlap import check_overlap, overlap

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
    found.fill(np.arange(len(rows)), [[column] for column in rows.T])
    return found


@given(TABLES)
def test_it_finds_what_comparing_all_pairs_finds(
    tables: tuple[list[list[int]], list[list[int]]],
) -> None:
    train, test = map(np.array, tables)
    near, usual = near_rows(hashes(train), hashes(test))
    apart = (test[:, None] != train).sum(axis=2)
    assert ((apart <= 1).any(axis=1) == near).all()
    own = (train[:, None] != train).sum(axis=2) + 9 * np.eye(len(train), dtype=int)
    assert ((own <= 1).any(axis=1) == usual).all()


def table(rows: np.ndarray, name: str) -> ExampleStore:
    """Five numbers, and a sequence of seven codes."""
    columns = {f"c{place}": rows[:, place].astype(np.float32) for place in range(5)}
    columns["codes"] = np.repeat((rows[:, :1] * 100).astype(np.int64), 7, axis=1)
    return examples(columns, np.zeros(len(rows), np.int64), name)


def test_rows_that_came_again_with_another_figure_are_told_and_never_stop() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 5))
    again = rows[:100].copy()
    again[:50, 3] += 1.0
    again[50:, 2:4] += 1.0
    found = overlap(table(rows, "train"), table(again, "test"))
    assert (found.repeated, found.near, found.near_rows, found.usual_near_rows) == (0, 0, 0.5, 0)
    assert "50.0% are a training row in all columns but one" in found.describe()
    check_overlap(found, 0.0)


def test_rows_that_are_the_same_are_not_nearly_so() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 5))
    found = overlap(table(rows, "train"), table(rows[:20], "test"))
    assert (found.repeated, found.near_rows) == (20, 0)


def test_a_column_and_its_gaps_are_one() -> None:
    names = ["age", "age_missing", "missing", "town_missing", "town", "_missing"]
    assert features_of(names) == [
        ["_missing"],
        ["age", "age_missing"],
        ["missing"],
        ["town", "town_missing"],
    ]
    rows = {f"{name}{end}": np.arange(9.0) for name in "abcd" for end in ("", "_missing")}
    found = overlap(examples(rows, np.zeros(9), "a"), examples(rows, np.zeros(9), "b"))
    assert found.near_rows is None
    rows["e"] = np.arange(9.0)
    filled = rows | {"a": np.arange(9.0) + 0.5, "a_missing": np.zeros(9)}
    found = overlap(examples(rows, np.zeros(9), "a"), examples(filled, np.zeros(9), "b"))
    assert found.near_rows == 1.0
