"""Gradients of embeddings, in slices or as one tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import CLASSES, Practice, named, nothing, pair_of
from twintrain.diagnosis.stages.dense_embeddings import check_embeddings
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.trace import Trace, gradient_array

IDS = 6


def lookups() -> keras.Model:
    """Five numbers of a row, cut to ids; six of them, so that all stand more than once."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,))
    ids = keras.layers.Lambda(lambda x: tf.cast(tf.math.floormod(x * 2, IDS), tf.int32))(inputs)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(IDS, 4)(ids))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax")(x))


def sliced(side: str) -> Any:
    """What a side hands over is noted as the slices that the tape gave."""

    def plant(fit: Trace, loop: Trace) -> None:
        for step in (fit if side == "fit" else loop).steps:
            update: Any = step.applied
            with tf.GradientTape() as tape:
                for variable, value in zip(step.model.variables, step.before or [], strict=True):
                    variable.assign(value)
                outputs = step.model(step.inputs, training=True)
                y = step.element[1]
                loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, outputs))
            gradients = tape.gradient(loss, step.model.trainable_variables)
            assert isinstance(gradients[0], tf.IndexedSlices)
            update.gradients = [gradient_array(gradient) for gradient in gradients]

    return plant


def dense(gradients: Any) -> Any:
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def looked_at(
    side: str, optimizer: Callable[[], keras.Optimizer] = lambda: keras.optimizers.Adam(0.01)
) -> Pair:
    practice = Practice(build=lookups, optimizer=optimizer, handed=dense)
    pair = pair_of(practice, practice, plant=sliced(side))
    assert check_embeddings(pair)
    return pair


@pytest.mark.parametrize(("slices_in", "at_fault"), [("fit", "custom_loop"), ("loop", "keras_fit")])
def test_the_side_that_makes_them_dense_is_named(slices_in: str, at_fault: str) -> None:
    pair = looked_at(slices_in)
    assert named(pair) == [("embedding_gradients_dense", at_fault, 0)]
    replay, reading = pair.findings.causes[0].evidence
    assert replay.observed == replay.replayed != replay.correct  # type: ignore[union-attr]
    assert reading.observed == "one dense tensor"
    assert "40 slices of" in reading.expected  # type: ignore[union-attr]


def test_an_optimizer_that_only_adds_makes_no_difference() -> None:
    assert nothing(looked_at("fit", lambda: keras.optimizers.SGD(0.1)))


def test_dense_on_both_sides_is_the_same() -> None:
    practice = Practice(build=lookups, handed=dense)
    pair = pair_of(practice, practice)
    check_embeddings(pair)
    assert nothing(pair)


def test_rows_of_which_no_id_comes_twice_are_the_same() -> None:

    pair = looked_at("fit")
    pair.findings.causes.clear()
    for step in pair.fit.close:
        assert step.applied is not None
        gradient: Any = step.applied.gradients[0]
        gradient.slices = tf.IndexedSlices(tf.constant(np.asarray(gradient)), tf.range(IDS))
    check_embeddings(pair)
    assert nothing(pair)
