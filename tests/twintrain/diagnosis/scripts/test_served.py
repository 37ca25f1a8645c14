"""Rows that are put in by their place: which, for which part, and what is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from twintrain.diagnosis.scripts.entries import Entries, Entry, map_parts, rows_of, taken
from twintrain.diagnosis.scripts.script_rows import rows_from_arrays
from twintrain.diagnosis.scripts.served import TARGETS, Base, Served, block_of

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20)
ENTRY = Entry("from_tensor_slices", "train.py", 3, 1)


def served(base: Base, **named: Any) -> Served:
    rows = rows_from_arrays((X, Y), 4).shortened(8, shuffled_targets=False)
    bases = {("train.py", 3, base.count): base}
    return Served(bases, rows, None, 20, None, **named)


def test_what_enters_is_cut_to_the_rows() -> None:
    x, y = served(Base("train", None, 0, 20)).arrays(ENTRY, (X, Y))
    assert np.array_equal(x, X[:8])
    assert np.array_equal(y, Y[:8])


def test_targets_that_are_dealt_out_go_to_other_rows_on_every_way() -> None:
    rows = rows_from_arrays((X, Y), 4).shortened(20, shuffled_targets=True)
    both = Served({("train.py", 3, 20): Base("train", None, 0, 20)}, rows, None, 20, None)
    alone = Served({("train.py", 3, 20): Base("train", TARGETS, 0, 20)}, rows, None, 20, None)
    x, y = both.arrays(ENTRY, (X, Y))
    assert np.array_equal(x, X)
    assert not np.array_equal(y, Y)
    assert np.array_equal(alone.arrays(ENTRY, Y), y)
    assert np.array_equal(both.given({"x": X, "y": Y})["y"], y)
    assert np.array_equal(rows.part(1), y)


def test_a_part_of_the_rows_gets_its_own() -> None:
    found = served(Base("train", None, 5, 15)).arrays(ENTRY, (X[5:], Y[5:]))
    assert np.array_equal(found[1], Y[5:8])


@pytest.mark.parametrize("arrays", [(X[:7], Y[:7]), "text", 3])
def test_anything_else_is_left_alone(arrays: Any) -> None:
    assert served(Base("train", None, 0, 20)).arrays(ENTRY, arrays) is arrays


@given(st.integers(0, 19), st.integers(1, 20))
def test_a_block_of_rows_is_found_where_it_stands(first: int, count: int) -> None:
    assert block_of(X[first : first + count], X) == first


def test_rows_that_do_not_follow_each_other_are_no_block() -> None:
    assert block_of(X[::2], X) is None
    assert block_of(X[:, :1], X) is None


def test_each_kind_of_rows_stays_what_it_was() -> None:
    places = np.array([2, 0])
    found = taken((X, {"t": tf.constant(Y)}, ["a", "b", "c"]), places)
    assert np.array_equal(found[0], X[places])
    assert tf.is_tensor(found[1]["t"])
    assert found[2] == ["c", "a"]
    assert rows_of((X, Y[:3])) is None
    assert map_parts(len, [X, X]) == [20, 20]


def test_a_data_set_knows_where_its_rows_entered(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    text = (
        "ds = Dataset.from_tensor_slices(x).map(lambda v: v).batch(2)\nother = Dataset.range(3)\n"
    )
    script.write_text(text)
    entries = Entries(tmp_path, lambda entry, arrays: arrays[:6])
    scope: dict[str, Any] = {"x": X, "Dataset": tf.data.Dataset}
    with entries.on():
        exec(compile(text, str(script), "exec"), scope)
        assert sum(len(batch) for batch in scope["ds"]) == 6
        (entry,) = entries.pulled
    assert (entry.line, entry.ordinal) == (1, 1)
    assert entries.behind(scope["other"]) == frozenset()
