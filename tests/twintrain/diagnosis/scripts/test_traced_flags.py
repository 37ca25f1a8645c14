"""Models whose layers were frozen or set free since they were compiled."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from twintrain.diagnosis.scripts.traced_flags import TracedFlags

X, Y = np.ones((8, 3), "float32"), np.zeros((8, 1), "float32")


def model_with_frozen_part(eagerly: bool) -> keras.Model:
    part = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    part.trainable = False
    model = keras.Sequential([keras.Input((3,)), part, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
    return model


def moved_by(train: Any, model: keras.Model) -> list[bool]:
    """Per weight, whether a training changes it."""
    before = [np.array(weight) for weight in model.weights]
    train()
    return [not np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True)]


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("batch", [False, True])
def test_what_was_frozen_stays_so_until_the_model_is_compiled_anew(
    eagerly: bool, batch: bool
) -> None:
    model = model_with_frozen_part(eagerly)

    def train() -> None:
        if batch:
            model.train_on_batch(X, Y)
        else:
            model.fit(X, Y, verbose=0)

    with TracedFlags().on():
        assert moved_by(train, model) == [False, False, True, True]
        model.layers[0].trainable = True
        # As Keras has it by itself where it goes on with the graph.
        assert moved_by(train, model) == [False, False, True, True]
        assert model.layers[0].trainable
        assert model.layers[0].layers[0].trainable
        model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
        assert moved_by(train, model) == [True, True, True, True]


def test_keras_does_the_same_in_a_graph() -> None:
    model = model_with_frozen_part(eagerly=False)
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True
    moved = moved_by(lambda: model.fit(X, Y, verbose=0), model)
    assert moved == [False, False, True, True]
