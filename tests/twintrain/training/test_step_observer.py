"""What is read of a step, for a problem of more than one metric."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

from twintrain.data.batches import BatchSource
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.errors import TwintrainError
from twintrain.parity.lockstep import lockstep
from twintrain.problems.image_classification import ImageClassification
from twintrain.problems.image_models import mlp
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.training.gradient_tape import GradientTapeTwin
from twintrain.training.registry import TRAINERS
from twintrain.training.session import Built
from twintrain.training.twin import Step


class Counted(ImageClassification):
    """A metric whose name comes before that of the loss, and one whose name comes after it."""

    def metrics(self) -> list[keras.Metric]:
        return [
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top_2_accuracy"),
        ]


def test_every_metric_is_held_against_its_own(small_train: ExampleStore) -> None:
    recipe = load_recipe("standard", ["model.name=mlp"])
    problem = Counted(labelled_images((28, 28, 1), 10), mlp)
    assert lockstep(recipe, problem, small_train, seed=0, steps=2).first is None


class Unscaled(GradientTapeTwin):
    """Its step does not let the optimizer scale the loss, which without mixed precision changes no
    number.
    """

    def stepper(self, built: Built, source: BatchSource, recipe: Recipe) -> Step:
        def step(inputs: tf.Tensor, targets: tf.Tensor, weights: None) -> dict[str, float]:
            with tf.GradientTape() as tape:
                loss = built.loss(targets, built.model(inputs, training=True))
            variables = built.model.trainable_variables
            built.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": float(loss)}

        return step


def test_a_step_that_cannot_be_seen_is_not_called_different(
    small_train: ExampleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRAINERS, "unscaled", Unscaled())
    recipe = load_recipe("standard", ["model.name=mlp", "twins.loop=unscaled"])
    problem = Counted(labelled_images((28, 28, 1), 10), mlp)
    with pytest.raises(TwintrainError, match=r"does not call optimizer\.scale_loss"):
        lockstep(recipe, problem, small_train, seed=0, steps=1)
