"""Rows are recognised in what was fed."""

from __future__ import annotations

from typing import Any

import numpy as np

from twintrain.diagnosis.replay.batch_matching import Register, forget_stale, read_stream
from twintrain.diagnosis.watch.frozen_rows import Rows, keys_of
from twintrain.diagnosis.watch.trace import Evaluation

X = np.array([[0], [1], [0], [2], [0]], "float32")
Y = np.array([0.0, 1, 2, 3, 4], "float32")
REGISTER = Register(Rows((X, Y), 2, False, keys_of(X)))


def found(places: list[list[int]], pulled: bool) -> list[list[int]]:
    keys = [keys_of(X[batch]) for batch in places]
    targets = [keys_of(Y[batch]) if pulled else None for batch in places]
    return [list(rows) for rows in REGISTER.find(keys, targets, len(places) // 2)]


def test_equal_inputs_are_told_apart_by_their_targets() -> None:
    order = [[4, 3], [0, 2], [2, 4], [1, 0]]
    assert found(order, pulled=True) == order


def test_equal_inputs_in_the_order_of_the_data_are_in_order() -> None:
    order = [[0, 1, 2], [3, 4], [0, 1, 2], [3, 4]]
    assert found(order, pulled=False) == order
    part = [[1, 2], [3, 4], [1, 2], [3, 4]]
    assert found(part, pulled=False) == part


def test_rows_that_are_not_in_the_data_are_not_found() -> None:
    (rows,) = REGISTER.find([keys_of(X + 7)], [None], 1)
    assert list(rows) == [-1] * 5


def fed(inputs: float, element: Any) -> Evaluation:
    value = np.full((2, 1), inputs, "float32")
    return Evaluation(0, None, value, True, value, element, None)


def test_an_element_that_stands_while_other_inputs_come_is_forgotten() -> None:
    last, one, two = (X[:2],), (X[2:4],), (X[1:3],)
    taken_out = [fed(number, last) for number in range(6)]
    forget_stale(taken_out)
    assert all(step.element is None for step in taken_out)
    same_batch_again = [fed(1.0, last) for _ in range(6)]
    two_steps_each = [fed(number, one if number < 2 else two) for number in range(4)]
    for steps in (same_batch_again, two_steps_each):
        forget_stale(steps)
        assert all(step.element is not None for step in steps)


def test_changed_rows_are_recognised_by_targets_in_order_unless_any_rows_could_have_them() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(64, 3)).astype("float32")
    y = (draw.random(64) < 0.8).astype("int32")
    data = Rows((x, y), 16, False, keys_of(x))
    changed = np.sin(x)

    def batches(size: int) -> list[Evaluation]:
        return [
            Evaluation(
                0, None, changed[at : at + size], False, None, (x[:1], y[at : at + size]), None
            )
            for at in range(0, size * 4, size)
        ]

    assert np.array_equal(np.concatenate(read_stream(batches(16), data, 4).rows), np.arange(64))
    assert (read_stream(batches(4)[:1], data, 1).rows[0] < 0).all()
