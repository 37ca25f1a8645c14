"""What is read of a step, for a problem of more than one metric."""

from __future__ import annotations

import keras

from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.parity.lockstep import lockstep
from twintrain.problems.image_classification import ImageClassification
from twintrain.problems.image_models import mlp
from twintrain.recipe.files import load_recipe


class Counted(ImageClassification):
    """A metric whose name comes before that of the loss, and one whose name comes after it."""

    @staticmethod
    def metrics() -> list[keras.Metric]:
        return [
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top_2_accuracy"),
        ]


def test_every_metric_is_held_against_its_own(small_train: ExampleStore) -> None:
    recipe = load_recipe("standard", ["model.name=mlp"])
    problem = Counted(labelled_images((28, 28, 1), 10), mlp)
    assert lockstep(recipe, problem, small_train, seed=0, steps=2).first is None
