"""Models that do not fit their problem: each is told before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.data.example_spec import labelled_images
from twintrain.errors import TwintrainError
from twintrain.problems.batch_check import check_on_batch
from twintrain.problems.image_classification import ImageClassification

SHAPE, CLASSES = (4, 4, 1), 3
INPUTS = tf.constant(np.random.default_rng(0).uniform(size=(5, *SHAPE)).astype(np.float32))
TARGETS = tf.constant([0, 1, 2, 0, 1], tf.int64)


def flat(*layers: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), *layers])


def two_outputs() -> keras.Model:
    inputs = keras.Input(SHAPE)
    hidden = keras.layers.Flatten()(inputs)
    heads = [keras.layers.Dense(CLASSES, activation="softmax")(hidden) for _ in range(2)]
    return keras.Model(inputs, heads)


def frozen() -> keras.Model:
    model = flat(keras.layers.Dense(CLASSES, activation="softmax"))
    model.trainable = False
    return model


def of_other_images() -> keras.Model:
    return keras.Sequential([keras.Input((16,)), keras.layers.Dense(CLASSES, activation="softmax")])


def nan_weights() -> keras.Model:
    model = flat(keras.layers.Dense(CLASSES, activation="softmax"))
    model.layers[-1].bias.assign(np.full(CLASSES, np.nan))
    return model


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "logits": (lambda: flat(keras.layers.Dense(CLASSES)), "does not end in class probabilities"),
    "sigmoid": (
        lambda: flat(keras.layers.Dense(CLASSES, activation="sigmoid")),
        "does not end in class probabilities",
    ),
    "one unit": (
        lambda: flat(keras.layers.Dense(1, activation="sigmoid")),
        "5 x 1 numbers for a batch of 5, and 5 x 3 numbers are wanted: there are 3 classes",
    ),
    "too many units": (
        lambda: flat(keras.layers.Dense(4, activation="softmax")),
        "5 x 4 numbers",
    ),
    "not flattened": (
        lambda: keras.Sequential(
            [keras.Input(SHAPE), keras.layers.Dense(CLASSES, activation="softmax")]
        ),
        "5 x 4 x 4 x 3 numbers",
    ),
    "two outputs": (two_outputs, "has 2 outputs"),
    "frozen": (frozen, "no trainable variables"),
    "other images": (of_other_images, r"does not take a batch of the data \(4 x 4 x 1"),
    "NaN": (nan_weights, "gives NaN or infinity for 5 of the first 5 examples"),
    "no model": (lambda: "model", "returns builtins.str"),
}


def problem(build: Callable[[], object]) -> ImageClassification:
    return ImageClassification(labelled_images(SHAPE, CLASSES), lambda *_: build())  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("name", WRONG)
def test_a_model_that_does_not_fit_is_told(name: str) -> None:
    build, expected = WRONG[name]
    with pytest.raises(TwintrainError, match=expected):
        check_on_batch(problem(build), build(), INPUTS, TARGETS)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_model_that_fits_passes_in_any_precision(policy: str) -> None:
    def build() -> keras.Model:
        return flat(keras.layers.Dense(CLASSES, activation="softmax"))

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        check_on_batch(problem(build), build(), INPUTS, TARGETS)
    finally:
        keras.config.set_dtype_policy(before)
