"""What counts as equal, by the type a model computes in."""

from __future__ import annotations

import pytest

from twintrain.diagnosis.replay import tolerances
from twintrain.diagnosis.replay.tolerances import (
    FORWARD,
    GRADIENT,
    Tolerance,
    forward_tolerance,
    gradient_rel,
)

UNIT = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@pytest.mark.parametrize("dtype", UNIT)
def test_a_forward_pass_may_round_and_no_more_than_a_few_hundred_times(dtype: str) -> None:
    found = forward_tolerance(dtype)
    assert UNIT[dtype] < found.rel < 500 * UNIT[dtype]
    assert found.floor == FORWARD.floor


@pytest.mark.parametrize("dtype", UNIT)
def test_a_gradient_may_round_more_than_a_forward_pass(dtype: str) -> None:
    assert gradient_rel(dtype) > forward_tolerance(dtype).rel
    assert gradient_rel("float32") == GRADIENT


def test_every_tolerance_is_small_and_not_negative() -> None:
    found = [value for value in vars(tolerances).values() if isinstance(value, Tolerance)]
    assert len(found) > 10
    assert all(0 < tolerance.rel <= 0.01 and 0 <= tolerance.floor <= 0.01 for tolerance in found)


def test_the_sides_may_differ_by_more_the_longer_they_trained() -> None:
    assert FORWARD.rel <= tolerances.ROUNDING < tolerances.GROWN
