"""Series found in whatever a trainer returns."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from twintrain.diagnosis.watch.logs import read_log

HISTORY = keras.callbacks.History()
HISTORY.history = {"loss": [2.0, 1.0]}


@pytest.mark.parametrize(
    ("log", "series"),
    [
        (HISTORY, {"loss": [2.0, 1.0]}),
        (
            {"loss": [2.0, 1.0], "acc": [0.5, np.float32(0.75)]},
            {"loss": [2.0, 1.0], "acc": [0.5, 0.75]},
        ),
        ([2.0, tf.constant(1.0)], {"value": [2.0, 1.0]}),
        ([{"loss": 2.0}, {"loss": 1.0}], {"loss": [2.0, 1.0]}),
        ([(2.0, 0.5), (1.0, 0.75)], {"[0]": [2.0, 1.0], "[1]": [0.5, 0.75]}),
        ({"train": {"loss": [2.0, 1.0]}}, {"train.loss": [2.0, 1.0]}),
        (None, {}),
        ("done", {}),
        ([], {}),
    ],
)
def test_common_shapes_are_understood(log: Any, series: dict[str, list[float]]) -> None:
    assert read_log(log) == series


anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)


@given(anything)
def test_no_log_breaks_it(log: Any) -> None:
    assert all(isinstance(value, float) for series in read_log(log).values() for value in series)
