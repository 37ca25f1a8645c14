"""Rows as counts and as words."""

from __future__ import annotations

import numpy as np
import pytest

from twintrain.diagnosis.replay.row_sets import (
    RowCounter,
    class_labels,
    is_consecutive,
    say_places,
)
from twintrain.diagnosis.watch.frozen_rows import Rows, keys_of

X = np.arange(20, dtype="float32")[:, None]
SORTED = np.repeat(np.arange(4), 5)


def rows(x: np.ndarray, y: np.ndarray) -> Rows:
    return Rows((x, y), 4, False, keys_of(x))


def test_rows_are_said_with_their_labels() -> None:
    counter = RowCounter(rows(X, SORTED))
    assert (
        counter.say(counter.count([np.arange(10), np.arange(10, 15)]))
        == "15 of 20 rows: 0-14 (labels 0: 33%, 1: 33%, 2: 33%, 3: 0%)"
    )
    assert counter.say(counter.capacity, "test rows").startswith("all of 20 test rows (labels")
    assert counter.say(0 * counter.capacity) == "none of 20 rows"
    assert counter.missing_labels(counter.count([np.arange(15)])) == [3]


def test_equal_rows_are_counted_together() -> None:
    counter = RowCounter(rows(np.array([[1.0], [2], [1], [3]], "float32"), np.arange(4)))
    assert list(counter.capacity) == [2, 1, 0, 1]
    assert np.array_equal(counter.count([np.array([0, 1])]), counter.count([np.array([1, 2])]))
    assert list(counter.places(counter.count([np.array([2, 2, -1])]))) == [0, 2]


def test_labels_of_a_part_may_be_uneven() -> None:
    counter = RowCounter(rows(X, SORTED))
    assert counter.unevenness(counter.count([np.arange(15)])) == pytest.approx(0.25)
    assert counter.unevenness(counter.count([np.arange(0, 20, 5)])) == pytest.approx(0)


def test_one_hot_targets_are_classes_and_measurements_are_none() -> None:
    assert list(class_labels(rows(X, np.eye(4)[SORTED]))) == list(SORTED)  # type: ignore[arg-type]
    assert class_labels(rows(X, X / 3)) is None
    assert class_labels(rows(X, np.arange(20))) is None


def test_places_are_said_as_pieces_or_as_the_first_ones() -> None:
    assert say_places(np.arange(640)) == "0-639"
    assert say_places([0, 1, 5]) == "0-1, 5"
    assert say_places(np.arange(0, 40, 2)) == "0, 2, 4, 6, 8, 10, ..."


def test_a_piece_may_lack_some_rows() -> None:
    assert is_consecutive(np.arange(10, 30))
    assert is_consecutive(np.delete(np.arange(30), 7))
    assert not is_consecutive(np.arange(0, 30, 2))
