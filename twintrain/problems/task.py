"""What is predicted, and how an answer is judged: without any data, and without a model.

    task = task_at("classification")
    task.scores(targets, outputs).mean()      # its metric

Everyone who holds answers against targets (training logs, the Evaluator, the comparison, the gate
before a push) asks the task; a task travels as its name and unit, in text.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from twintrain.data.example_spec import ExampleSpec
from twintrain.errors import TwintrainError, did_you_mean
from twintrain.problems.label_measures import ExactMatch, MeanOverLabels
from twintrain.problems.measures import (
    F1,
    R2,
    Accuracy,
    BrierScore,
    CalibrationError,
    LogLoss,
    MeanAbsoluteError,
    Measure,
    PoissonDeviance,
    RocAuc,
    RootMeanSquaredError,
    Scores,
    chosen_classes,
)
from twintrain.problems.metric import Metric

if TYPE_CHECKING:  # a task is named, and its name checked, before TensorFlow is worth its import
    import keras

_SUM = 1e-2  # how far from 1 probabilities may add up; bfloat16 rounds each of them at 2^-8


def _named(*measures: Measure) -> dict[str, Measure]:
    return {measure.NAME: measure for measure in measures}


@dataclass(frozen=True)
class Choices:
    """Which class a model chooses for each example, and how surely.

    Attributes:
        chosen: int64 [n].
        confidence: the probability given to it, float32 [n].
        lead: by how much that is more than what the next class gets, float32 [n].
    """

    chosen: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    lead: npt.NDArray[np.float32]


class Task(ABC):
    """One kind of prediction.

    Args:
        unit: of the targets, where these are numbers: 'minutes'.
        metric: the measure that answers are judged by; "" for the usual one.

    Attributes:
        NAME: what it is called in a problem file.
        TARGET_DTYPE: NumPy's name of the targets' type.
        CLASSIFIES: whether targets are classes, 0 to classes - 1.
        SEVERAL: whether each example has several targets, 0 or 1 each: labels that it has or not.
        MEASURES: by name, what answers can be judged by; the usual one first.
        measure: the one they are judged by.

    Raises:
        TwintrainError: the task has no such measure.
    """

    NAME: ClassVar[str]
    TARGET_DTYPE: ClassVar[str]
    CLASSIFIES: ClassVar[bool]
    SEVERAL: ClassVar[bool] = False
    MEASURES: ClassVar[Mapping[str, Measure]]

    def __init__(self, unit: str = "", metric: str = "") -> None:
        self.unit = unit
        name = metric or next(iter(self.MEASURES))
        if name not in self.MEASURES:
            raise TwintrainError(
                f"The task {self.NAME} has no metric {name!r}.", did_you_mean(name, self.MEASURES)
            )
        self.measure = self.MEASURES[name]

    @property
    def text(self) -> str:
        """What `task_at` makes it of again."""
        return json.dumps({"name": self.NAME, "unit": self.unit, "metric": self.measure.NAME})

    @property
    def metric(self) -> Metric:
        """What is compared; `scores` average to it."""
        return self.measure.metric(self.unit)

    @abstractmethod
    def output_shape(self, spec: ExampleSpec) -> tuple[int, ...]:
        """What a model must give for one example with these columns."""

    @abstractmethod
    def loss(self) -> keras.Loss:
        """A fresh loss of targets and outputs: the one usual for the task."""

    @abstractmethod
    def metrics(self) -> list[keras.Metric]:
        """Fresh metrics. Both twins log them, and the Evaluator counts them: a metric that is
        added here appears in every place.
        """

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """Of each example, float64 [n]; their mean is the metric on these examples.

        Args:
            targets: [n], or [n, labels] of several labels.
            outputs: [n, *output shape], finite.

        Raises:
            TwintrainError: there is no such figure for these targets.
        """
        lacking = self.measure.lacking(targets)
        if lacking is not None:
            raise TwintrainError(
                f"There is no {self.metric.name} of these {len(targets):,} examples: it needs "
                f"{lacking}.",
                "Hold out more test examples, or compare by another METRIC.",
            )
        return self.measure.scores(targets, outputs)

    def choices(self, outputs: npt.NDArray[np.float32]) -> Choices | None:
        """Which classes outputs stand for; None where a model chooses none."""
        return None

    def lead(self, outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
        """How far each answer is from tipping over into another, float32 [n]; None where none does:
        numbers do not.
        """
        chosen = self.choices(outputs)
        return None if chosen is None else chosen.lead

    @abstractmethod
    def check_outputs(self, outputs: npt.NDArray[np.float32]) -> None:
        """See that outputs are what the loss takes them for.

        Args:
            outputs: of one batch, [n, *output shape], finite.

        Raises:
            TwintrainError: they are not.
        """


class Classification(Task):
    """One of several classes: cross-entropy on class probabilities, judged by accuracy."""

    NAME = "classification"
    TARGET_DTYPE = "int64"
    CLASSIFIES = True
    MEASURES = _named(Accuracy(), F1(), LogLoss(), BrierScore(), CalibrationError())

    def output_shape(self, spec: ExampleSpec) -> tuple[int, ...]:
        """A probability for every class."""
        assert spec.classes is not None
        return (spec.classes,)

    def loss(self) -> keras.Loss:
        """Cross-entropy of class numbers and probabilities."""
        import keras

        return keras.losses.SparseCategoricalCrossentropy()

    def metrics(self) -> list[keras.Metric]:
        """Accuracy."""
        import keras

        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def choices(self, outputs: npt.NDArray[np.float32]) -> Choices:
        """The most probable class."""
        next_best, best = np.partition(outputs, -2, axis=1)[:, -2:].T
        return Choices(chosen_classes(outputs), best, best - next_best)

    def check_outputs(self, outputs: npt.NDArray[np.float32]) -> None:
        """See that every row is a distribution over the classes."""
        sums = outputs.sum(axis=-1)
        if outputs.min() >= 0 and np.abs(sums - 1).max() <= _SUM:
            return
        row = int(np.abs(sums - 1).argmax())
        raise TwintrainError(
            "The model does not end in class probabilities: in one batch its outputs lie between "
            f"{outputs.min():.4g} and {outputs.max():.4g}, and those of example {row + 1} add up "
            f"to {sums[row]:.4g}. The loss takes them for probabilities.",
            'End it in Dense(classes, activation="softmax"), with dtype="float32" under mixed '
            "precision.",
        )


class BinaryClassification(Task):
    """One of two classes, by the probability of the second: binary cross-entropy, judged by
    accuracy at one half.
    """

    NAME = "binary"
    TARGET_DTYPE = "int64"
    CLASSIFIES = True
    MEASURES = _named(Accuracy(), RocAuc(), F1(), LogLoss(), BrierScore(), CalibrationError())

    def output_shape(self, spec: ExampleSpec) -> tuple[int, ...]:
        """The probability of class 1."""
        return (1,)

    def loss(self) -> keras.Loss:
        """Cross-entropy of class 0 or 1 and a probability."""
        import keras

        return keras.losses.BinaryCrossentropy()

    def metrics(self) -> list[keras.Metric]:
        """Accuracy at one half, and the area under the ROC curve."""
        import keras

        return [keras.metrics.BinaryAccuracy(name="accuracy"), keras.metrics.AUC(name="auc")]

    def choices(self, outputs: npt.NDArray[np.float32]) -> Choices:
        """The class that has more than one half."""
        second = outputs[:, 0]
        confidence = np.maximum(second, 1 - second)
        return Choices(chosen_classes(outputs), confidence, 2 * confidence - 1)

    def check_outputs(self, outputs: npt.NDArray[np.float32]) -> None:
        """See that every output is a probability."""
        _see_probabilities(outputs, "in a probability", "1")


class MultiLabel(Task):
    """Any of several labels, none or all, by the probability of each: binary cross-entropy, judged
    by the share of labels that are told right at one half.
    """

    NAME = "multilabel"
    TARGET_DTYPE = "int64"
    CLASSIFIES = False
    SEVERAL = True
    MEASURES = _named(
        MeanOverLabels(Accuracy(), "label_accuracy"),
        ExactMatch(),
        MeanOverLabels(RocAuc()),
        MeanOverLabels(F1()),
        MeanOverLabels(LogLoss()),
        MeanOverLabels(BrierScore()),
        MeanOverLabels(CalibrationError()),
    )

    def output_shape(self, spec: ExampleSpec) -> tuple[int, ...]:
        """The probability of each label."""
        return spec.target.shape

    def loss(self) -> keras.Loss:
        """Cross-entropy of 0 or 1 and a probability, the mean over labels."""
        import keras

        return keras.losses.BinaryCrossentropy()

    def metrics(self) -> list[keras.Metric]:
        """The share of labels that are told right at one half."""
        import keras

        return [keras.metrics.BinaryAccuracy(name="accuracy")]

    def lead(self, outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Of the label that is nearest to one half."""
        nearest: npt.NDArray[np.float32] = np.abs(2 * outputs - 1).min(axis=1)
        return nearest

    def check_outputs(self, outputs: npt.NDArray[np.float32]) -> None:
        """See that every output is a probability."""
        _see_probabilities(outputs, "in probabilities", "labels")


def _see_probabilities(outputs: npt.NDArray[np.float32], wanted: str, units: str) -> None:
    if outputs.min() >= 0 and outputs.max() <= 1:
        return
    raise TwintrainError(
        f"The model does not end {wanted}: in one batch its outputs lie between "
        f"{outputs.min():.4g} and {outputs.max():.4g}. The loss takes them for probabilities.",
        f'End it in Dense({units}, activation="sigmoid"), with dtype="float32" under mixed '
        "precision.",
    )


class _Numbers(Task):
    """Numbers: one output per example."""

    TARGET_DTYPE = "float32"
    CLASSIFIES = False

    def output_shape(self, spec: ExampleSpec) -> tuple[int, ...]:
        """The number."""
        return (1,)


class Regression(_Numbers):
    """A number: squared error, judged by the mean absolute error."""

    NAME = "regression"
    MEASURES = _named(MeanAbsoluteError(), RootMeanSquaredError(), R2())

    def loss(self) -> keras.Loss:
        """Mean squared error."""
        import keras

        return keras.losses.MeanSquaredError()

    def metrics(self) -> list[keras.Metric]:
        """Mean absolute error, and the root of the mean squared one."""
        import keras

        return [
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.RootMeanSquaredError(name="rmse"),
        ]

    def check_outputs(self, outputs: npt.NDArray[np.float32]) -> None:
        """Any finite number can be an answer."""


class Counts(_Numbers):
    """A count, by its expected value: the Poisson loss, judged by the mean Poisson deviance."""

    NAME = "counts"
    MEASURES = _named(PoissonDeviance(), MeanAbsoluteError(), RootMeanSquaredError())

    def loss(self) -> keras.Loss:
        """Poisson."""
        import keras

        return keras.losses.Poisson()

    def metrics(self) -> list[keras.Metric]:
        """The Poisson loss, the mean absolute error, and the root of the mean squared one."""
        import keras

        return [
            keras.metrics.Poisson(name="poisson"),
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.RootMeanSquaredError(name="rmse"),
        ]

    def check_outputs(self, outputs: npt.NDArray[np.float32]) -> None:
        """See that no expected count is below 0."""
        if outputs.min() >= 0:
            return
        raise TwintrainError(
            f"The model gives {outputs.min():.4g} for an example: the loss takes its outputs for "
            "expected counts, which are not below 0.",
            'End it in Dense(1, activation="softplus") or "exponential".',
        )


TASKS: dict[str, type[Task]] = {
    task.NAME: task
    for task in (Classification, BinaryClassification, MultiLabel, Regression, Counts)
}


def task_named(name: str, unit: str = "", metric: str = "") -> Task:
    """A task by its name.

    Raises:
        TwintrainError: there is none of that name, or it has no such metric.
    """
    if name not in TASKS:
        raise TwintrainError(f"No task is called {name!r}.", did_you_mean(name, TASKS))
    return TASKS[name](unit, metric)


def task_at(text: str) -> Task:
    """A task from `Task.text`."""
    return task_named(**json.loads(text))
