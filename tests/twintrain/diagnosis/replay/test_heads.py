"""Whether a model ends in probabilities, by its last layer, or else by what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.replay.heads import gives_probabilities

layers = keras.layers
# What logits may be by chance, and what tells nothing where the model does not say.
BETWEEN = [np.array([[0.2], [0.7]], "float32")]
DISTRIBUTIONS = [np.array([[0.25, 0.75], [1.0, 0.0]], "float32")]


def model(*ends: Any) -> keras.Model:
    x = keras.Input((4,))
    y = x
    for end in ends:
        y = end(y)
    return keras.Model(x, y)


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.dense(x)


@pytest.mark.parametrize(
    ("made", "probable"),
    [
        (lambda: model(layers.Dense(1, "sigmoid")), True),
        (lambda: model(layers.Dense(3, "softmax")), True),
        (lambda: model(layers.Dense(3), layers.Softmax()), True),
        (lambda: model(layers.Dense(1), layers.Activation("sigmoid")), True),
        (lambda: model(layers.Dense(3), keras.ops.softmax), True),
        (lambda: model(layers.Dense(4, "softmax"), layers.Reshape((2, 2))), True),
        (lambda: model(layers.Dense(4), layers.Dropout(0.1)), False),
        (lambda: model(layers.Dense(1)), False),
        (lambda: model(model(layers.Dense(2, "softmax"))), True),
        (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(1)]), False),
        (lambda: model(layers.Dense(3, tf.nn.softmax)), True),
        (lambda: model(layers.Dense(1, "sigmoid"), layers.Activation("linear")), True),
        (lambda: model(layers.Dense(1), layers.Activation("linear")), False),
    ],
    ids=range(13),
)
def test_the_last_layer_tells(made: Callable[[], keras.Model], probable: bool) -> None:
    assert gives_probabilities(made(), BETWEEN) is probable


def test_of_a_model_that_does_not_tell_the_values_do_as_far_as_they_can() -> None:
    silent = Subclassed()
    silent(np.zeros((1, 4), "float32"))
    own = model(layers.Dense(2, lambda x: keras.ops.softmax(2 * x)))
    for unknown in (silent, own, model(layers.Dense(2), layers.LeakyReLU(), keras.ops.exp)):
        assert gives_probabilities(unknown, BETWEEN) is None
        assert gives_probabilities(unknown, [*BETWEEN, -BETWEEN[0]]) is False
        assert gives_probabilities(unknown, DISTRIBUTIONS) is True
        assert gives_probabilities(unknown, [DISTRIBUTIONS[0] / 2]) is None
        assert gives_probabilities(unknown, []) is None


def test_two_heads_of_two_kinds_are_neither() -> None:
    x = keras.Input((4,))
    two = keras.Model(x, [layers.Dense(1, "sigmoid")(x), layers.Dense(1)(x)])
    assert gives_probabilities(two, BETWEEN) is None
    assert gives_probabilities(two, BETWEEN, [0]) is True
    assert gives_probabilities(two, BETWEEN, [1]) is False
