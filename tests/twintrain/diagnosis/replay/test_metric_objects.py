"""Metric objects made again, and what they compute of batches."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from twintrain.diagnosis.replay.definitions import Answers
from twintrain.diagnosis.replay.metric_objects import of_metric

DRAW = np.random.default_rng(0)
BATCHES = [
    Answers(DRAW.integers(0, 2, (rows, 1)).astype("float32"), DRAW.random((rows, 1), np.float32))
    for rows in (8, 8, 3)
]


def f1_m(y_true: Any, y_pred: Any) -> Any:
    """Of a batch, one number, by a function that nobody registered."""
    hits = keras.ops.sum(keras.ops.round(y_true * y_pred))
    named = keras.ops.sum(keras.ops.round(y_pred)) + keras.ops.sum(y_true)
    return 2 * hits / (named + 1e-7)


def distance(y_true: Any, y_pred: Any, power: float = 1.0) -> Any:
    """Of each row."""
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** power, axis=-1)


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.MeanMetricWrapper(f1_m, name="f1_m"),
        keras.metrics.MeanMetricWrapper(distance, name="cubed", power=3.0),
        keras.metrics.AUC(num_thresholds=50),
        keras.metrics.BinaryAccuracy(threshold=0.3),
    ],
    ids=["of batches", "of rows, with an argument", "many variables", "with a setting"],
)
def test_it_computes_what_keras_does_and_leaves_the_object_alone(metric: keras.Metric) -> None:
    found = of_metric(metric, "figure")
    assert found is not None
    sums = [found.sums(batch) for batch in BATCHES]
    assert all(not np.any(np.asarray(value)) for value in metric.variables)
    for batch in BATCHES:
        metric.update_state(batch.y, batch.p)
    wanted = float(metric.result())
    assert found.finish(sums[0] + sums[1] + sums[2]) == pytest.approx(wanted, rel=1e-6)
    metric.reset_state()


def test_means_of_what_is_handed_over_are_not_made() -> None:
    assert of_metric(keras.metrics.Mean(), "loss") is None


def test_one_that_cannot_be_made_again_is_not() -> None:
    class Needing(keras.metrics.MeanSquaredError):
        def __init__(self, scale: float, **others: Any) -> None:
            super().__init__(**others)
            self.scale = scale

    assert of_metric(Needing(2.0, name="needing"), "needing") is None
