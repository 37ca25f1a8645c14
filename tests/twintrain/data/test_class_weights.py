from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from twintrain.data.class_weights import class_weights
from twintrain.recipe.files import load_recipe

BALANCED = load_recipe("standard", ["training.class_weight=balanced"])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50))
def test_balanced_weights_are_those_of_sklearn(classes: list[int]) -> None:
    targets = np.array(classes)
    weights = class_weights(BALANCED, targets)
    assert weights is not None
    assert weights.dtype == np.float32
    there = np.unique(targets)
    expected = compute_class_weight("balanced", classes=there, y=targets)
    assert weights[there] == pytest.approx(expected)
    assert weights[targets].mean() == pytest.approx(1)
    assert weights.sum() == pytest.approx(weights[there].sum())


def test_without_weights_there_are_none() -> None:
    assert class_weights(load_recipe("standard"), np.array([0, 1, 1])) is None
