"""Whose target each input was fed with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from twintrain.diagnosis.replay.target_matching import sources_of

ROWS = np.random.default_rng(0).permutation(60)
CLASSES = np.random.default_rng(1).integers(0, 3, 60).astype("float32")[:, None]
NUMBERS = np.random.default_rng(2).permutation(60).astype("float32")[:, None] ** 2 / 60 - 3
Function = Callable[[np.ndarray], np.ndarray]


def one_hot(y: np.ndarray) -> np.ndarray:
    return np.eye(3, dtype="float32")[y[:, 0].astype(int)]


OF_CLASSES: dict[str, Function] = {
    "as they are": lambda y: y,
    "one-hot": one_hot,
    "smoothed": lambda y: 0.9 * one_hot(y) + 0.1 / 3,
    "from -1 to 1": lambda y: y - 1,
    "another order": lambda y: (y + 1) % 3,
    "one against the others": lambda y: (y == 1).astype("float32"),
}
OF_NUMBERS: dict[str, Function] = {
    "as they are": lambda y: y,
    "scaled": lambda y: 3 * y + 1,
    "reversed": lambda y: -y,
    "logarithm": lambda y: np.log(y + 10),
}


@pytest.mark.parametrize("change", OF_CLASSES.values(), ids=OF_CLASSES)
def test_a_function_of_the_class_leaves_each_row_its_own(change: Function) -> None:
    found = sources_of(ROWS, change(CLASSES[ROWS]), CLASSES)
    assert found is not None
    assert np.array_equal(found, ROWS)


@pytest.mark.parametrize("change", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_a_function_of_the_number_leaves_each_row_its_own(change: Function) -> None:
    found = sources_of(ROWS, change(NUMBERS[ROWS]), NUMBERS)
    assert found is not None
    assert np.array_equal(found, ROWS)


@pytest.mark.parametrize("name", ["as they are", "one-hot", "smoothed", "from -1 to 1"])
def test_classes_of_other_rows_are_seen_whatever_was_made_of_them(name: str) -> None:
    others = np.roll(ROWS, 1)
    found = sources_of(ROWS, OF_CLASSES[name](CLASSES[others]), CLASSES)
    assert found is not None
    assert np.array_equal(CLASSES[found], CLASSES[others])
    assert np.array_equal(found == ROWS, (CLASSES[others] == CLASSES[ROWS])[:, 0])


@pytest.mark.parametrize("name", ["as they are", "scaled", "reversed"])
def test_numbers_of_other_rows_are_seen_whatever_was_made_of_them(name: str) -> None:
    others = np.roll(ROWS, 1)
    found = sources_of(ROWS, OF_NUMBERS[name](NUMBERS[others]), NUMBERS)
    assert found is not None
    assert np.array_equal(found, others)


def test_several_numbers_of_other_rows_are_seen_whatever_scale_they_were_given() -> None:
    pairs = np.concatenate([NUMBERS, np.sin(NUMBERS)], axis=1)
    scaled = pairs / [10.0, -2.0] + [0.5, 3.0]
    others = np.roll(ROWS, 1)
    for fed in (ROWS, others):
        found = sources_of(ROWS, scaled[fed].astype("float32"), pairs)
        assert found is not None
        assert np.array_equal(found, fed)
    mixed = np.stack([scaled[others, 0], scaled[ROWS, 1]], axis=1)  # no row's
    assert sources_of(ROWS, mixed, pairs) is None


def test_targets_of_some_other_rows_are_seen() -> None:
    others = ROWS.copy()
    others[:10] = others[:10][::-1]
    found = sources_of(ROWS, NUMBERS[others], NUMBERS)
    assert found is not None
    assert np.array_equal(found, others)


def test_noise_in_labels_is_no_other_row() -> None:
    rows = np.arange(400)
    labels = (rows % 4 == 0).astype("float32")[:, None]
    fed = labels.copy()
    fed[:40] = 1 - fed[:40]
    assert sources_of(rows, fed, labels) is None


def test_targets_that_are_not_those_of_the_data_say_nothing() -> None:
    noise = np.random.default_rng(5).normal(size=(60, 4)).astype("float32")
    assert sources_of(ROWS, noise, CLASSES) is None
    assert sources_of(ROWS, noise, NUMBERS) is None
    assert sources_of(ROWS, noise[:, :1], NUMBERS) is None
    assert sources_of(ROWS, np.full((60, 1), np.nan, "float32"), NUMBERS) is None
