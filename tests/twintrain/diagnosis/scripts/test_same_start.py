"""The same weights for every form of the same model."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.scripts.same_start import SameStart, has_all_weights
from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.trace import Trace
from twintrain.diagnosis.watch.watcher import Watch


def made(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)], name="encoder")
    decoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="decoder")
    inputs = keras.Input((3,))
    return keras.Model(inputs, decoder(encoder(inputs)))


def equal(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_a_model_gets_the_weights_once() -> None:
    given, own = made(0), made(1)
    start = SameStart(given, parts=False)
    assert not start.handed_over
    start.start(own)
    assert equal(own, given)
    assert start.handed_over
    own.set_weights([weight + 1 for weight in own.get_weights()])
    start.start(own)
    assert not equal(own, given)


def test_a_part_that_is_called_leads_to_the_whole() -> None:
    given, own = made(0), made(1)
    adopted: list[keras.Model] = []
    start = SameStart(given, False, adopted.append)
    start.start(own.get_layer("decoder"))
    assert adopted == [own]
    assert equal(own, given)


def test_parts_without_a_whole_get_theirs_one_after_the_other() -> None:
    given = made(0)
    encoder, decoder = (made(1).get_layer(name) for name in ("encoder", "decoder"))
    start = SameStart(given, parts=True)
    start.start(encoder)
    assert not start.handed_over
    start.start(decoder)
    assert start.handed_over
    assert equal(encoder, given.get_layer("encoder"))
    assert equal(decoder, given.get_layer("decoder"))


def test_another_model_keeps_its_own() -> None:
    other = keras.Sequential([keras.Input((9,)), keras.layers.Dense(1)])
    before = other.get_weights()
    start = SameStart(made(0), parts=False)
    start.start(other)
    assert not start.handed_over
    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True))


class Late(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.out = keras.layers.Dense(2)

    def call(self, x: object) -> object:
        return self.out(x)


def test_a_model_that_makes_its_weights_late_is_built_first() -> None:
    given, own = Late(), Late()
    given(np.zeros((1, 3), "float32"))
    assert has_all_weights(given)
    assert not has_all_weights(own)
    start = SameStart(given, parts=False)
    start.start(own, np.zeros((5, 3), "float32"))
    assert equal(own, given)


def test_building_a_model_under_a_tape_is_no_forward_pass() -> None:
    """A subclassed model makes its weights when it is called first, which a script does in its
    first step, under its tape.
    """
    given = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    own = keras.Sequential([keras.layers.Dense(2)])
    start, x = SameStart(given, parts=False), np.ones((5, 3), np.float32)
    trace = Trace("custom_loop", [], 1)
    with Watch(trace, 12, 100, Timer(60), own).on():
        with tf.GradientTape() as tape:
            start.start(own, x)
            loss = tf.reduce_sum(own(x, training=True))
        tape.gradient(loss, own.trainable_variables)
    assert equal(own, given)
    (step,) = trace.steps
    assert len(step.calls) == 1
    np.testing.assert_array_equal(step.inputs, x)
