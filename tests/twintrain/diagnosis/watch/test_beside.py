"""What stands beside the inputs in the user's variables."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.beside import arrays_beside
from twintrain.diagnosis.watch.places import outermost


@outermost
def called_by_us(rows: int) -> dict[str, np.ndarray]:
    unseen = np.zeros(rows)  # noqa: F841 - of the function that calls the user's
    return users(rows)


def users(rows: int) -> dict[str, np.ndarray]:
    targets = np.arange(rows)
    weights = tf.ones((rows, 1))
    names, scalar, wide = ["a"] * rows, 3.0, np.zeros((rows, 5000))  # noqa: F841
    texts, others = np.array(names), np.zeros(rows + 1)  # noqa: F841
    found = arrays_beside(rows)
    targets[:] = -1
    assert weights.shape == (rows, 1)
    return found


def test_numbers_with_a_row_per_input_are_copied() -> None:
    found = called_by_us(4)
    assert sorted(found) == ["users: targets", "users: weights"]
    np.testing.assert_array_equal(found["users: targets"], np.arange(4))
    np.testing.assert_array_equal(found["users: weights"], np.ones((4, 1)))
