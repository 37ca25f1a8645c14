"""Updates, made again."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import Practice, pair_of
from twintrain.diagnosis.replay.updates import fresh_state, replay_update
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


class Hurried(keras.optimizers.SGD):
    """Counts its updates in Python, where no variable shows it."""

    made = 0

    def update_step(self, gradient: object, variable: object, learning_rate: object) -> None:
        self.made += 1
        super().update_step(gradient, variable, learning_rate * self.made)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adam(0.01, use_ema=True),
        lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), momentum=0.9
        ),
        lambda: keras.optimizers.AdamW(0.01, clipnorm=0.01),
    ],
)
def test_one_replay_leaves_nothing_for_the_next(optimizer: object) -> None:
    step = pair_of(loop=Practice(optimizer=optimizer)).loop.close[3]  # type: ignore[arg-type]
    assert step.applied is not None
    fresh = fresh_state(step)
    first = replay_update(step)
    replay_update(step, rate=0.5)
    replay_update(step, clips=False)
    replay_update(step, state=fresh)
    for one, other, seen in zip(first, replay_update(step), step.after, strict=True):
        assert np.array_equal(one, other)
        assert np.allclose(one, seen, atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(fresh, fresh_state(step), strict=True))


def test_an_optimizer_of_ones_own_is_made_anew_for_each_replay() -> None:
    step = pair_of(loop=Practice(optimizer=lambda: Hurried(0.01))).loop.close[0]
    first, second = replay_update(step), replay_update(step)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
