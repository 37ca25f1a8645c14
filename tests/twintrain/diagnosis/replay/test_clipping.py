"""Gradients on their way to the optimizer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintrain.diagnosis.replay.clipping import (
    NO_CLIPPING,
    Rule,
    clip,
    global_norm,
    norm,
    times,
    way_of,
)

Gradients = list[np.ndarray | None]


def gradients(seed: int) -> Gradients:
    draw = np.random.default_rng(seed)
    return [
        draw.normal(size=(3, 2)).astype("float32"),
        None,
        draw.normal(size=4).astype("float32") * 3,
    ]


@given(
    st.integers(0, 200), st.sampled_from(["per variable", "global", "value"]), st.floats(0.05, 1.0)
)
def test_clipping_by_hand_is_recognised_with_its_limit(seed: int, kind: str, limit: float) -> None:
    raw = gradients(seed)
    found = way_of([raw], [clip(Rule(kind, limit), raw)])
    assert found is not None
    assert found.rule.kind == kind
    assert found.rule.limit == pytest.approx(limit, rel=1e-3)
    assert found.factor == 1


@given(st.integers(0, 200))
def test_untouched_gradients_are_recognised_and_others_are_not(seed: int) -> None:
    raw = gradients(seed)
    assert way_of([raw], [raw]) == ((1.0,), NO_CLIPPING)
    twisted: Gradients = [None if g is None else g[::-1].copy() for g in raw]
    assert way_of([raw], [twisted]) is None


def test_norms() -> None:
    both: Gradients = [np.array([3.0]), None, np.array([4.0])]
    assert norm(np.array([3.0, 4.0])) == 5
    assert global_norm(both) == 5
    assert global_norm(clip(Rule("global", 1.0), both)) == pytest.approx(1)


@given(st.integers(0, 200), st.floats(0.01, 0.9), st.sampled_from([1, -1]))
def test_a_factor_is_told_from_clipping_to_one_limit(seed: int, size: float, sign: int) -> None:
    raws = [gradients(seed), times(3.0, gradients(seed + 1)), gradients(seed + 2)]
    found = way_of(raws, [times(size**sign, raw) for raw in raws])
    assert found is not None
    assert found.factor == pytest.approx(size**sign, rel=1e-3)
    assert found.rule == NO_CLIPPING


@given(st.integers(0, 200), st.sampled_from(["per variable", "global", "value"]))
def test_clipping_after_a_factor_is_recognised(seed: int, kind: str) -> None:
    raws = [gradients(seed), times(0.001, gradients(seed + 1)), gradients(seed + 2)]
    given = [clip(Rule(kind, 0.1), times(0.5, raw)) for raw in raws]
    found = way_of(raws, given)
    assert found is not None
    assert found.factor == pytest.approx(0.5, rel=1e-3)
    assert found.rule.kind == kind
    assert found.rule.limit == pytest.approx(0.1, rel=1e-3)


def test_gradients_that_are_not_numbers_show_nothing() -> None:
    raws = [gradients(1), [np.array([np.nan]), None, np.array([1.0])], gradients(2)]
    assert way_of(raws, raws) == ((1.0,) * 3, NO_CLIPPING)
