"""The contract of a problem: everything about a user's task, in one place.

    problem = find_problem(recipe, spec)         # twintrain.problems.find
    problem.build_model(recipe)                  # a fresh, uncompiled Keras model
    problem.task.scores(targets, outputs).mean() # its primary metric

Whoever trains, compares or reports asks the problem and knows no task of its own: what a metric is
called, which answers are right and how inputs are prepared is written down once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from twintrain.data.example_spec import ExampleSpec
from twintrain.problems.statement import Statement
from twintrain.problems.task import Task
from twintrain.recipe.recipe import Recipe

if TYPE_CHECKING:  # a problem is named, and its name checked, before TensorFlow is worth its import
    import keras
    import keras_tuner

    from twintrain.data.batches import Preparation
    from twintrain.data.example_store import ExampleStore


class Problem(ABC):
    """One task on one kind of data.

    Args:
        statement: what it says before any data is seen.
        spec: the columns of its examples.
    """

    def __init__(self, statement: Statement, spec: ExampleSpec) -> None:
        self.statement, self.spec = statement, spec

    @property
    def task(self) -> Task:
        """What is predicted, and how it is judged."""
        return self.statement.task

    @property
    def output_shape(self) -> tuple[int, ...]:
        """What the model must give for one example."""
        return self.task.output_shape(self.spec)

    @abstractmethod
    def build_model(self, recipe: Recipe) -> keras.Model:
        """A fresh, uncompiled model that takes the inputs of `spec`."""

    def loss(self) -> keras.Loss:
        """A fresh loss of targets and outputs."""
        return self.task.loss()

    def metrics(self) -> list[keras.Metric]:
        """Fresh metrics, the primary one first."""
        return self.task.metrics()

    @abstractmethod
    def preparation(self, recipe: Recipe) -> Preparation:
        """What happens to inputs on their way from the store to the model."""

    @abstractmethod
    def slice_values(
        self, train: ExampleStore, test: ExampleStore
    ) -> Mapping[str, npt.NDArray[np.int64] | npt.NDArray[np.str_]]:
        """The value of each of the slice keys for every test example, [n]: a code that
        `slice_value_name` has a name for, or a name.

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
