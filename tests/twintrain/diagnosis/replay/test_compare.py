"""Equal to float tolerance."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import small_model
from twintrain.diagnosis.replay.compare import (
    all_close_to,
    close_to,
    each_close,
    gradients_agree,
    largest,
    peak,
    trainable_positions,
    weight_positions,
)
from twintrain.diagnosis.replay.tolerances import Tolerance

A = np.array([1.0, 1000.0], np.float32)
NAN = np.array([np.nan, 1.0], np.float32)


def test_the_largest_difference() -> None:
    assert largest([A, A], [A, A + 0.5]) == 0.5
    assert largest([A], [A]) == 0.0
    assert largest([A], [A[:1]]) is None
    assert largest([A], [A, A]) is None
    assert largest([NAN], [NAN]) == 0.0
    assert largest([NAN], [A]) == float("inf")


def test_close_is_measured_against_the_largest_value_or_element_by_element() -> None:
    loose = Tolerance(1e-3, 0.0)
    moved = A + np.array([0.5, 0.0], np.float32)
    assert close_to(A, moved, loose)
    assert not each_close(A, moved, loose)
    assert not close_to(A, A + 2, loose)
    assert close_to(A * 0, A * 0 + 1e-8)
    assert not close_to(A * 0, A * 0 + 1e-6)


def test_what_is_not_finite_must_be_the_same() -> None:
    assert close_to(NAN, NAN)
    assert not close_to(NAN, A)


def test_lists_of_other_lengths_or_shapes_are_not_close() -> None:
    assert all_close_to([A, A], [A, A])
    assert not all_close_to([A], [A, A])
    assert not close_to(A, A[:1])
    assert close_to(A[:0], A[:0])


def test_gradients_that_a_side_lacks_are_left_out() -> None:
    tolerance = Tolerance(1e-4, 0.0)
    assert gradients_agree([A, None, A], [A, A, None], tolerance)
    assert not gradients_agree([A, None], [2 * A, None], tolerance)


def test_the_peak_is_absolute() -> None:
    assert peak([A, -2 * A]) == 2000.0


@pytest.mark.parametrize("frozen", [False, True])
def test_positions_of_variables(frozen: bool) -> None:
    model = small_model(dropout=0.5)
    model.layers[1].trainable = not frozen
    paths = [variable.path for variable in model.variables]
    seed = next(i for i, path in enumerate(paths) if "seed" in path)
    assert weight_positions(model) == [i for i in range(len(paths)) if i != seed]
    found = [model.variables[i].path for i in trainable_positions(model)]
    assert found == [variable.path for variable in model.trainable_variables]
    assert len(found) == (2 if frozen else 4)
