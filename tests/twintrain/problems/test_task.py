"""What each task takes for right, and how large it takes an error to be."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from twintrain.errors import TwintrainError
from twintrain.problems.task import TASKS, Task, task_at, task_named

TARGETS = {
    "classification": np.array([0, 2, 1, 1]),
    "binary": np.array([0, 1, 1, 0]),
    "multilabel": np.array([[0, 1], [1, 1], [0, 0], [1, 0]]),
    "regression": np.array([1.0, -2.0, 0.5, 3.0], np.float32),
    "counts": np.array([0.0, 3.0, 1.0, 2.0], np.float32),
}
OUTPUTS = {
    "classification": np.array(
        [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], np.float32
    ),
    "binary": np.array([[0.2], [0.9], [0.5], [0.7]], np.float32),
    "multilabel": np.array([[0.2, 0.9], [0.9, 0.5], [0.7, 0.6], [0.8, 0.1]], np.float32),
    "regression": np.array([[1.5], [-2.0], [0.0], [0.0]], np.float32),
    "counts": np.array([[0.5], [3.0], [0.5], [4.0]], np.float32),
}
SCORES = {
    "classification": [1, 1, 0, 1],
    "binary": [1, 1, 0, 0],
    "multilabel": [1.0, 0.5, 0.0, 1.0],
    "regression": [0.5, 0.0, 0.5, 3.0],
    "counts": [
        1.0,
        0.0,
        2 * (np.log(2) - 0.5),
        2 * (2 * np.log(0.5) + 2),
    ],
}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_scores_are_what_each_example_adds(name: str) -> None:
    found = task_named(name).scores(TARGETS[name], OUTPUTS[name])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, SCORES[name], atol=1e-6)


@pytest.mark.parametrize("name", ["classification", "binary", "multilabel", "regression"])
def test_scores_average_to_keras_own_metric(name: str) -> None:
    task = task_named(name)
    metric = task.metrics()[0]
    assert metric.name == task.metric.logged
    metric.update_state(TARGETS[name], OUTPUTS[name])
    mean = task.scores(TARGETS[name], OUTPUTS[name]).mean()
    assert float(metric.result()) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_loss_takes_targets_and_outputs(name: str) -> None:
    task = task_named(name)
    loss = float(task.loss()(TARGETS[name], OUTPUTS[name]))
    assert np.isfinite(loss)
    if name == "regression":
        # Not every target against every output, which shapes [n] and [n, 1] would give.
        assert loss == pytest.approx(np.mean([0.25, 0.0, 0.25, 9.0]))
    if name == "binary":
        expected = keras.losses.BinaryCrossentropy()(TARGETS[name][:, None], OUTPUTS[name])
        assert loss == pytest.approx(float(expected))


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_survives_as_text(name: str) -> None:
    again = task_at(task_named(name, "minutes").text)
    assert (type(again), again.unit) == (TASKS[name], "minutes")


@pytest.mark.parametrize(
    ("task", "outputs", "expected"),
    [
        (TASKS["classification"](), [[2.0, -1.0, 0.5]], "does not end in class probabilities"),
        (TASKS["binary"](), [[1.5]], "does not end in a probability"),
        (TASKS["multilabel"](), [[0.5, -0.5]], "does not end in probabilities"),
        (TASKS["counts"](), [[-0.5]], "expected counts"),
    ],
)
def test_outputs_of_another_kind_are_refused(
    task: Task, outputs: list[list[float]], expected: str
) -> None:
    with pytest.raises(TwintrainError, match=expected):
        task.check_outputs(np.array(outputs, np.float32))


def test_choices_of_a_probability_are_the_surer_class() -> None:
    choices = TASKS["binary"]().choices(np.array([[0.2], [0.9]], np.float32))
    assert choices is not None
    assert choices.chosen.tolist() == [0, 1]
    assert choices.confidence.tolist() == pytest.approx([0.8, 0.9])
    assert choices.lead.tolist() == pytest.approx([0.6, 0.8])


def test_an_answer_of_several_labels_tips_by_the_nearest_to_one_half() -> None:
    outputs = np.array([[0.2, 0.9], [0.51, 0.9]], np.float32)
    assert TASKS["multilabel"]().lead(outputs).tolist() == pytest.approx([0.6, 0.02], abs=1e-6)
    binary = TASKS["binary"]().lead(outputs[:, :1])
    assert binary is not None
    assert binary.tolist() == pytest.approx([0.6, 0.02], abs=1e-6)
    assert TASKS["regression"]().lead(outputs[:, :1]) is None


def test_a_task_that_is_not_there_is_said() -> None:
    with pytest.raises(TwintrainError, match="regresion") as raised:
        task_named("regresion")
    assert "regression" in raised.value.remedy
