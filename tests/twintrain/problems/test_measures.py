"""Every measure's scores average to its metric, exactly, and vary as the metric does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from twintrain.errors import TwintrainError
from twintrain.problems.measures import (
    F1,
    R2,
    BrierScore,
    CalibrationError,
    LogLoss,
    Measure,
    RocAuc,
    RootMeanSquaredError,
)
from twintrain.problems.task import TASKS, task_named

PROBABILITIES = st.lists(st.integers(0, 6).map(lambda n: n / 6), min_size=30, max_size=60)


def second_of_two(given: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Targets of both classes, and probabilities with many ties."""
    outputs = np.array(given, np.float32)[:, None]
    return np.arange(len(given)) % 3 % 2, outputs


@given(PROBABILITIES)
def test_the_area_is_that_of_sklearn(given: list[float]) -> None:
    targets, outputs = second_of_two(given)
    expected = metrics.roc_auc_score(targets, outputs[:, 0])
    assert RocAuc().scores(targets, outputs).mean() == pytest.approx(expected, abs=1e-12)


@given(PROBABILITIES)
def test_f1_of_the_second_class_is_that_of_sklearn(given: list[float]) -> None:
    targets, outputs = second_of_two(given)
    expected = metrics.f1_score(targets, outputs[:, 0] > 0.5)
    assert F1().scores(targets, outputs).mean() == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
def test_f1_of_several_classes_is_their_mean(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    targets, outputs = rng.integers(4, size=n), rng.dirichlet(np.ones(4), n).astype(np.float32)
    expected = metrics.f1_score(
        targets, outputs.argmax(axis=1), average="macro", labels=np.unique(targets)
    )
    assert F1().scores(targets, outputs).mean() == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_figures_of_numbers_are_those_of_sklearn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    targets, outputs = rng.normal(size=n), rng.normal(size=(n, 1)).astype(np.float32)
    root = RootMeanSquaredError().scores(targets, outputs).mean()
    assert root == pytest.approx(metrics.root_mean_squared_error(targets, outputs[:, 0]))
    share = R2().scores(targets, outputs).mean()
    assert share == pytest.approx(metrics.r2_score(targets, outputs[:, 0]))


def test_log_loss_is_that_of_sklearn_and_finite_where_it_was_sure() -> None:
    targets, outputs = np.array([0, 1, 1]), np.array([[0.2], [0.9], [0.4]], np.float32)
    expected = metrics.log_loss(targets, outputs[:, 0])
    assert LogLoss().scores(targets, outputs).mean() == pytest.approx(expected)
    rows = np.concatenate([1 - outputs, outputs], axis=1)
    assert LogLoss().scores(targets, rows).mean() == pytest.approx(expected)
    sure = LogLoss().scores(np.array([1]), np.array([[0.0]], np.float32))
    assert 10 < sure[0] < 20


@given(PROBABILITIES)
def test_the_brier_score_is_that_of_sklearn(given: list[float]) -> None:
    targets, outputs = second_of_two(given)
    expected = metrics.brier_score_loss(targets, outputs[:, 0])
    assert BrierScore().scores(targets, outputs).mean() == pytest.approx(expected, abs=1e-7)
    rows = np.concatenate([1 - outputs, outputs], axis=1)
    assert BrierScore().scores(targets, rows).mean() == pytest.approx(2 * expected, abs=1e-7)


@given(PROBABILITIES)
def test_the_calibration_error_is_that_of_its_bins(given: list[float]) -> None:
    targets, outputs = second_of_two(given)
    rows = np.concatenate([1 - outputs, outputs], axis=1)
    sure, right = rows.max(axis=1), (outputs[:, 0] > 0.5) == targets
    expected = 0.0
    for lower in np.arange(15) / 15:
        chosen = (sure > lower) & (sure <= lower + 1 / 15)
        if chosen.any():
            expected += chosen.mean() * abs(sure[chosen].mean() - right[chosen].mean())
    for given_as in (outputs, rows):
        found = CalibrationError().scores(targets, given_as).mean()
        assert found == pytest.approx(expected, abs=1e-6)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not() -> None:
    sure = np.array([[1.0], [0.0]], np.float32)
    assert CalibrationError().scores(np.array([1, 0]), sure).mean() == 0
    assert CalibrationError().scores(np.array([0, 1]), sure).mean() == 1


def test_the_variance_of_the_area_is_delongs() -> None:
    rng = np.random.default_rng(3)
    targets = rng.integers(2, size=300)
    outputs = (0.4 * targets + rng.random(300)).astype(np.float32)[:, None] / 2
    above, below = outputs[targets == 1, 0], outputs[targets == 0, 0]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    expected = wins.mean(axis=1).var() / len(above) + wins.mean(axis=0).var() / len(below)
    scores = RocAuc().scores(targets, outputs)
    assert scores.var() / len(scores) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("measure", "task"),
    [(RocAuc(), "binary"), (F1(), "binary"), (RootMeanSquaredError(), "regression"),
     (R2(), "regression"), (F1(), "classification"), (BrierScore(), "binary")],
)  # fmt: skip
def test_scores_tell_how_the_metric_varies(measure: Measure, task: str) -> None:
    """Over samples of one population, as often as it is drawn."""
    rng = np.random.default_rng(5)
    means, guessed = [], []
    for _ in range(400):
        targets, outputs = _sample(task, rng, 400)
        scores = measure.scores(targets, outputs)
        means.append(scores.mean())
        guessed.append(scores.var() / len(scores))
    assert np.mean(guessed) == pytest.approx(np.var(means), rel=0.2)


def test_calibration_error_varies_no_more_than_its_scores_tell() -> None:
    """Less, because a bin that is nearly calibrated errs to either side by turns: intervals are
    rather too wide.
    """
    rng = np.random.default_rng(5)
    means, guessed = [], []
    for _ in range(400):
        scores = CalibrationError().scores(*_sample("binary", rng, 400))
        means.append(scores.mean())
        guessed.append(scores.var() / len(scores))
    assert np.var(means) < np.mean(guessed) < 4 * np.var(means)


def _sample(task: str, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    if task == "regression":
        targets = rng.normal(size=n)
        return targets, (targets + rng.normal(size=n))[:, None].astype(np.float32)
    if task == "binary":
        targets = (rng.random(n) < 0.3).astype(np.int64)
        return targets, ((targets + rng.normal(size=n)) / 4 + 0.3)[:, None].astype(np.float32)
    targets = rng.integers(3, size=n)
    return targets, (np.eye(3)[targets] + rng.normal(size=(n, 3))).astype(np.float32)


@pytest.mark.parametrize(
    ("task", "metric", "targets", "lacking"),
    [
        ("binary", "auc", [1, 1], r"10 examples of each class \(there are 0\)"),
        ("binary", "f1", [0, 0], "examples of any class but the first"),
        ("regression", "r2", [2.0, 2.0], "targets that differ"),
    ],
)
def test_a_figure_that_there_is_not_is_said(
    task: str, metric: str, targets: list[float], lacking: str
) -> None:
    judge = task_named(task, metric=metric)
    with pytest.raises(TwintrainError, match=lacking):
        judge.scores(np.array(targets), np.array([[0.3], [0.6]], np.float32))
    assert judge.measure.lacking(np.array([0, 1] * 10)) is None


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_measure_of_a_task_names_a_figure_that_is_logged(name: str) -> None:
    for metric in TASKS[name].MEASURES:
        task = task_named(name, "minutes", metric)
        logged = {"loss", *(one.name for one in task.metrics())}
        assert task.metric.logged in logged


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_scores_of_equal_answers_are_equal(seed: int) -> None:
    """Else twins that answer alike would seem to differ on some examples."""
    rng = np.random.default_rng(seed)
    targets, outputs = _sample("binary", rng, 60)
    again = RocAuc().scores(targets, outputs.copy())
    assert (again == RocAuc().scores(targets, outputs)).all()


def test_a_metric_of_another_task_is_said() -> None:
    with pytest.raises(TwintrainError, match="regression has no metric 'auc'") as raised:
        task_named("regression", metric="auc")
    assert "mae" in raised.value.remedy
