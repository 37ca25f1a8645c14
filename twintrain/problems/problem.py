"""The contract of a problem: everything about a user's task, in one place.

    problem = find_problem(recipe, spec)         # twintrain.problems.find
    problem.build_model(recipe)                  # a fresh, uncompiled Keras model
    problem.scores(targets, outputs).mean()      # its primary metric

Whoever trains, compares or reports asks the problem and knows no task of its own: what a metric is
called, which answers are right and how inputs are prepared is written down once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twintrain.data.example_spec import ExampleSpec
from twintrain.recipe.recipe import Recipe

if TYPE_CHECKING:  # a problem is named, and its name checked, before TensorFlow is worth its import
    import keras
    import keras_tuner

    from twintrain.data.batches import Preparation
    from twintrain.data.example_store import ExampleStore


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


class Problem(ABC):
    """One task.

    Args:
        spec: the columns of its examples.

    Attributes:
        INPUTS: name of the column that the model is given.
        TARGET: name of the column that it is to predict.
        SLICE_KEYS: features that test examples can be sliced by, in the order of a slice's name.
    """

    INPUTS: ClassVar[str]
    TARGET: ClassVar[str]
    SLICE_KEYS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, spec: ExampleSpec) -> None:
        self.spec = spec

    @abstractmethod
    def build_model(self, recipe: Recipe) -> keras.Model:
        """A fresh, uncompiled model that takes `spec.inputs`."""

    @property
    @abstractmethod
    def output_shape(self) -> tuple[int, ...]:
        """What the model must give for one example."""

    @abstractmethod
    def loss(self) -> keras.Loss:
        """A fresh loss of targets and outputs."""

    @staticmethod
    @abstractmethod
    def metrics() -> list[keras.Metric]:
        """Fresh metrics, the primary one first. Both twins log them, and the Evaluator counts them:
        a metric that is added here appears in every place.
        """

    @staticmethod
    @abstractmethod
    def scores(targets: np.ndarray, outputs: np.ndarray) -> npt.NDArray[np.float64]:
        """What each example adds to the primary metric, its mean: 1 for right, 0 for wrong.

        Args:
            targets: [n, *target shape].
            outputs: [n, *output shape], finite.
        """

    @staticmethod
    def choices(outputs: npt.NDArray[np.float32]) -> Choices | None:
        """Which classes outputs stand for; None where a model chooses none."""
        return None

    @abstractmethod
    def check_outputs(self, outputs: npt.NDArray[np.float32]) -> None:
        """See that outputs are what the loss takes them for.

        Args:
            outputs: of one batch, [n, *output shape], finite.

        Raises:
            TwintrainError: they are not.
        """

    @abstractmethod
    def preparation(self, recipe: Recipe) -> Preparation:
        """What happens to inputs on their way from the store to the model."""

    @abstractmethod
    def slice_values(
        self, train: ExampleStore, test: ExampleStore
    ) -> dict[str, npt.NDArray[np.int64]]:
        """The value of each of `SLICE_KEYS` for every test example, int64 [n].

        Args:
            train: decides the boundaries of buckets.
            test: in canonical order.
        """

    def slice_value_name(self, recipe: Recipe, key: str, value: int) -> str:
        """What a slice's value is called."""
        return str(value)

    def suggest(self, hp: keras_tuner.HyperParameters, recipe: Recipe) -> dict[str, Any]:
        """The search space, declared once: draws or looks up a value for each field it varies.

        Returns:
            dotted field of the recipe -> value.
        """
        low, high = recipe.tuning.learning_rate
        rate, size = "optimizer.learning_rate", "training.batch_size"
        return {
            rate: hp.Float(rate, low, high, sampling="log"),
            size: hp.Choice(size, list(recipe.tuning.batch_size)),
        }
