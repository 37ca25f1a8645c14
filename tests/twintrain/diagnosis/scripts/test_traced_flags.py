"""Models whose layers were frozen or set free since they were compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.scripts.traced_flags import TracedFlags

X, Y = np.ones((8, 3), "float32"), np.zeros((8, 1), "float32")


def model_with_frozen_part() -> keras.Model:
    part = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    part.trainable = False
    model = keras.Sequential([keras.Input((3,)), part, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@contextmanager
def run_op_by_op(wanted: bool) -> Iterator[None]:
    tf.config.run_functions_eagerly(wanted)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def moved_by(train: Any, model: keras.Model) -> list[bool]:
    """Per weight, whether a training changes it."""
    before = [np.array(weight) for weight in model.weights]
    train()
    return [not np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True)]


@pytest.mark.parametrize("op_by_op", [False, True])
@pytest.mark.parametrize("batch", [False, True])
def test_what_was_frozen_stays_so_until_the_model_is_compiled_anew(
    op_by_op: bool, batch: bool
) -> None:
    model = model_with_frozen_part()

    def train() -> None:
        if batch:
            model.train_on_batch(X, Y)
        else:
            model.fit(X, Y, verbose=0)

    with TracedFlags().on(), run_op_by_op(op_by_op):
        assert moved_by(train, model) == [False, False, True, True]
        model.layers[0].trainable = True
        # As Keras has it by itself where it goes on with the graph.
        assert moved_by(train, model) == [False, False, True, True]
        assert model.layers[0].trainable
        assert model.layers[0].layers[0].trainable
        assert all(weight.trainable for weight in model.weights)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        assert moved_by(train, model) == [True, True, True, True]


def test_keras_does_the_same_in_a_graph() -> None:
    model = model_with_frozen_part()
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True
    moved = moved_by(lambda: model.fit(X, Y, verbose=0), model)
    assert moved == [False, False, True, True]


def freeze(model: keras.Model) -> None:
    model.layers[0].trainable = False


def freeze_and_make_anew(model: keras.Model) -> None:
    freeze(model)
    model.make_train_function(force=True)


@pytest.mark.parametrize("op_by_op", [False, True])
@pytest.mark.parametrize(
    ("eagerly", "change", "weights"),
    [(True, freeze, None), (False, freeze_and_make_anew, None), (False, freeze, np.ones(8, "f"))],
    ids=["eager", "made anew", "other data"],
)
def test_what_keras_traces_anew_has_the_flags_of_now(
    op_by_op: bool, eagerly: bool, change: Any, weights: Any
) -> None:
    model = model_with_frozen_part()
    model.layers[0].trainable = True
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
    with TracedFlags().on(), run_op_by_op(op_by_op):
        assert all(moved_by(lambda: model.fit(X, Y, verbose=0), model))
        change(model)
        moved = moved_by(lambda: model.fit(X, Y, sample_weight=weights, verbose=0), model)
        assert moved == [False, False, True, True]


def test_a_weight_that_is_frozen_by_itself_stays_so() -> None:
    model = model_with_frozen_part()
    with TracedFlags().on():
        model.fit(X, Y, verbose=0)
        model.layers[0].trainable = True
        model.layers[1].kernel.trainable = False
        model.fit(X, Y, verbose=0)
        assert [weight.trainable for weight in model.layers[1].weights] == [False, True]
