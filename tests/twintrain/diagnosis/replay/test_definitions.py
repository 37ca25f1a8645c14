"""What a figure of one name may mean, for outputs and targets of each kind."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from twintrain.diagnosis.replay.definitions import (
    Answers,
    Definition,
    definitions_of,
    look_at,
)
from twintrain.diagnosis.replay.metric_objects import of_metric

draw = np.random.default_rng(0)
ROWS = 40
LOGITS = draw.normal(size=(ROWS, 1)).astype("float32")
PROBABILITIES = (1 / (1 + np.exp(-LOGITS))).astype("float32")
YES = (draw.normal(size=ROWS) + LOGITS[:, 0] > 0).astype("float32")
SCORES = draw.normal(size=(ROWS, 6)).astype("float32")
CLASSES = draw.integers(0, 6, ROWS).astype("int32")
ONE_HOT = np.eye(6, dtype="float32")[CLASSES]
MANY_HOT = (draw.uniform(size=(ROWS, 6)) > 0.5).astype("float32")


def definitions(y: np.ndarray, p: np.ndarray, kind: str) -> list[Definition]:
    output = look_at([Answers(y, p)], kind, from_logits=False)
    return [] if output is None else list(definitions_of(output))


def usual(y: np.ndarray, p: np.ndarray, kind: str, figure: str = "accuracy") -> Definition:
    return next(d for d in definitions(y, p, kind) if d.figure == figure and d.usual)


def value(definition: Definition, y: np.ndarray, p: np.ndarray) -> float:
    return definition.finish(definition.sums(Answers(y, p)))


@pytest.mark.parametrize(
    ("y", "p", "kind", "metric"),
    [
        (YES, PROBABILITIES, "binary", keras.metrics.BinaryAccuracy()),
        (YES, LOGITS, "binary", keras.metrics.BinaryAccuracy(threshold=0.0)),
        (YES, LOGITS, "other", keras.metrics.BinaryAccuracy()),
        (CLASSES, SCORES, "sparse", keras.metrics.SparseCategoricalAccuracy()),
        (ONE_HOT, SCORES, "dense", keras.metrics.CategoricalAccuracy()),
        (MANY_HOT, SCORES, "binary", keras.metrics.BinaryAccuracy(threshold=0.0)),
    ],
)
def test_the_usual_accuracy_is_that_of_the_right_metric(
    y: np.ndarray, p: np.ndarray, kind: str, metric: keras.Metric
) -> None:
    wanted = float(metric(y.reshape(p.shape) if y.size == p.size else y, p))
    assert value(usual(y, p, kind), y, p) == pytest.approx(wanted, abs=1e-6)


def test_a_threshold_that_is_wrong_for_logits_says_what_the_outputs_are() -> None:
    found = usual(YES, LOGITS, "binary")
    assert found.said == "cut at 0"
    low, high = f"{LOGITS.min():.3g}", f"{LOGITS.max():.3g}"
    assert found.remedy == (
        f"keras.metrics.BinaryAccuracy(threshold=0.0): the outputs are logits (from {low} to "
        f"{high})."
    )


@pytest.mark.parametrize(
    ("said", "metric"),
    [
        ("among the 3 largest outputs", keras.metrics.SparseTopKCategoricalAccuracy(k=3)),
        ("largest output", keras.metrics.SparseCategoricalAccuracy()),
    ],
)
def test_other_accuracies_of_class_numbers(said: str, metric: keras.Metric) -> None:
    found = next(d for d in definitions(CLASSES, SCORES, "sparse") if d.said == said)
    assert value(found, CLASSES, SCORES) == pytest.approx(float(metric(CLASSES, SCORES)), abs=1e-6)


def test_one_hot_rows_with_binary_losses_have_two_usual_accuracies() -> None:
    found = [d.said for d in definitions(ONE_HOT, SCORES, "binary") if d.usual]
    assert found[:2] == ["largest output", "each class by itself, cut at 0"]


@pytest.mark.parametrize(
    ("figure", "metric"),
    [
        ("precision", keras.metrics.Precision(thresholds=0.5)),
        ("recall", keras.metrics.Recall(thresholds=0.5)),
        ("rmse", keras.metrics.RootMeanSquaredError()),
        ("mae", keras.metrics.MeanAbsoluteError()),
    ],
)
def test_other_figures_of_one_number(figure: str, metric: keras.Metric) -> None:
    found = usual(YES, PROBABILITIES, "binary", figure)
    wanted = float(metric(YES[:, None], PROBABILITIES))
    assert value(found, YES, PROBABILITIES) == pytest.approx(wanted, abs=1e-6)


def test_positions_count_as_much_as_their_weights() -> None:
    y, p = np.array([[0, 1], [1, 1]]), np.eye(2, dtype="float32")[np.array([[0, 0], [1, 0]])]
    counts = np.array([[1, 0], [2, 1]], np.float32)
    found = usual(y, p, "sparse")
    sums = found.sums(Answers(y, p, counts))
    assert found.finish(sums) == pytest.approx(3 / 4)


def test_a_metric_object_is_made_again_and_adds_up_over_batches() -> None:
    metric = keras.metrics.AUC(num_thresholds=50, name="auc")
    found = of_metric(metric, "auc")
    assert found is not None
    halves = [(YES[:20, None], PROBABILITIES[:20]), (YES[20:, None], PROBABILITIES[20:])]
    sums = [found.sums(Answers(y, p)) for y, p in halves]
    wanted = float(keras.metrics.AUC(num_thresholds=50)(YES[:, None], PROBABILITIES))
    assert found.finish(sums[0] + sums[1]) == pytest.approx(wanted, abs=1e-6)
    assert "num_thresholds=50" in found.said


def test_a_mean_of_numbers_says_nothing_of_targets_and_outputs() -> None:
    assert of_metric(keras.metrics.Mean(), "loss") is None


def test_targets_that_do_not_go_with_the_outputs_have_no_figures() -> None:
    assert definitions(np.zeros((ROWS, 5)), SCORES, "dense") == []
    assert definitions(np.array([b"a"] * ROWS), SCORES, "sparse") == []
