"""Updates, made again."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.updates import replay_update
from twintrain.diagnosis.watch.trace import (
    Applied,
    Step,
    complete_steps,
    gradient_array,
    snapshot,
    value_of,
)


def test_an_embedding_is_updated_by_its_slices_as_keras_does() -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Embedding(5, 2)])
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    tokens = tf.constant([[1, 1, 2, 1], [3, 1, 2, 2]])  # rows that are taken many times
    found = Step(model, tokens, True, None, None, 0.0, snapshot(model))
    with tf.GradientTape() as tape:
        found.target = float(loss := tf.reduce_sum(model(tokens, training=True) ** 2))
    (gradient,) = tape.gradient(loss, model.trainable_variables)
    assert isinstance(gradient, tf.IndexedSlices)
    kept = gradient_array(gradient)
    state = [value_of(variable) for variable in optimizer.variables]
    found.applied = Applied(optimizer, 0.1, [kept], [0], state, 0)
    optimizer.apply([gradient], model.trainable_variables)
    found.after = snapshot(model)
    (step,) = complete_steps([found])
    again, dense = replay_update(step), replay_update(step, gradients=[np.array(kept)])
    assert np.array_equal(again[0], found.after[0])
    assert not np.allclose(dense[0], found.after[0], rtol=1e-4)
    # What is computed from such a gradient is a gradient like any other.
    assert getattr(kept * 0.5, "slices", None) is None
