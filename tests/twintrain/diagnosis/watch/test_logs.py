"""Series found in whatever a trainer returns."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from twintrain.diagnosis.watch.logs import figure_name, read_log

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


@pytest.mark.parametrize(
    ("name", "held_out", "figure"),
    [
        ("loss", False, "loss"),
        ("train_loss", False, "loss"),
        ("losses", False, "loss"),
        ("val_f1_m", True, "f1"),
        ("f1_score", False, "f1"),
        ("dice_coef", False, "dice"),
        ("kl_coef", False, "kl coef"),
        ("acc_metric", False, "accuracy"),
        ("metric", False, "metric"),
        ("acc", False, "accuracy"),
        ("trainAcc", False, "accuracy"),
        ("sparse_categorical_accuracy", False, "accuracy"),
        ("val_loss", True, "loss"),
        ("validation.binary_accuracy", True, "accuracy"),
        ("test.acc", True, "accuracy"),
        ("kind_acc", False, "kind accuracy"),
        ("mean_absolute_error", False, "mae"),
        ("root_mean_squared_error", False, "rmse"),
        ("top_5_accuracy", False, "top 5 accuracy"),
        ("value", False, ""),
        ("[0]", False, ""),
        ("mean", False, ""),
    ],
)
def test_spellings_of_one_figure_have_one_name(name: str, held_out: bool, figure: str) -> None:
    assert figure_name(name) == (held_out, figure)


def test_the_number_of_a_metric_object_says_nothing() -> None:
    assert figure_name("accuracy_2", numbered=True).figure == "accuracy"
    assert figure_name("mean_1", numbered=True).figure == ""
