"""Gradients on their way to the weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintrain.diagnosis.replay.updates import clip, clipped_by_hand, global_norm, norm

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
    found = clipped_by_hand(raw, clip((kind, limit), raw))
    assert found is not None
    assert found[0] == kind
    assert found[1] == pytest.approx(limit, rel=1e-3)


@given(st.integers(0, 200))
def test_untouched_gradients_are_recognised_and_others_are_not(seed: int) -> None:
    raw = gradients(seed)
    assert clipped_by_hand(raw, raw) == ("none", 0.0)
    twisted: Gradients = [None if g is None else g[::-1].copy() for g in raw]
    assert clipped_by_hand(raw, twisted) is None


def test_norms() -> None:
    both: Gradients = [np.array([3.0]), None, np.array([4.0])]
    assert norm(np.array([3.0, 4.0])) == 5
    assert global_norm(both) == 5
    assert global_norm(clip(("global", 1.0), both)) == pytest.approx(1)
