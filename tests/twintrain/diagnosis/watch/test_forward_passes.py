"""What counts as one step where a model is called in parts, several times, or beside others."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.trace import Trace, snapshot
from twintrain.diagnosis.watch.watcher import Watch

X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")


def halves(seed: int = 1) -> keras.Model:
    """An encoder and a decoder, each a model, in one model; variables 0-1 and 2-3."""
    keras.utils.set_random_seed(seed)
    encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)], name="encoder")
    decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(6)], name="decoder")
    inputs = keras.Input((6,))
    return keras.Model(inputs, decoder(encoder(inputs)))


def parts(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    return model.get_layer("encoder"), model.get_layer("decoder")


def watched(model: keras.Model, train: Callable[[tf.Tensor], None], times: int = 2) -> Trace:
    """The trace of a function that takes one step each time it is called."""
    trace = Trace("custom_loop", [])
    with Watch(trace, 12, 100, Timer(60), model).on():
        for _ in range(times):
            train(tf.constant(X))
    return trace


def descend(model: keras.Model, tape: tf.GradientTape, loss: tf.Tensor) -> None:
    variables = model.trainable_variables
    keras.optimizers.SGD(0.1).apply(tape.gradient(loss, variables), variables)


def composed(model: keras.Model) -> Callable[[tf.Tensor], None]:
    encoder, decoder = parts(model)

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(decoder(encoder(x), training=True) - x))
        descend(model, tape, loss)

    return train


def without_its_call(model: keras.Model) -> Callable[[tf.Tensor], None]:
    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model.call(x, training=True) - x))
        descend(model, tape, loss)

    return train


@pytest.mark.parametrize("called", [composed, without_its_call])
def test_calls_of_the_parts_are_one_step_of_the_model(
    called: Callable[[keras.Model], Callable[[tf.Tensor], None]],
) -> None:
    model = halves()
    start, outputs = snapshot(model), np.asarray(model(X))
    trace = watched(model, called(model))
    first, second = trace.steps
    assert first.model is second.model is model
    assert [call.layer.name for call in first.calls] == ["encoder", "decoder"]
    assert np.array_equal(first.inputs, X)
    assert np.allclose(first.outputs, outputs, atol=1e-6)
    assert first.training is True
    assert first.sources == [0, 1, 2, 3]
    assert all(map(np.array_equal, first.before or [], start))
    assert not trace.evaluations


def test_two_calls_of_the_model_are_one_step() -> None:
    model = halves()

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - model(-x, training=False)))
        descend(model, tape, loss)

    first, _ = watched(model, train).steps
    assert [call.training for call in first.calls] == [True, False]
    assert np.array_equal(first.calls[1].inputs, -X)


@pytest.mark.parametrize("teacher_first", [True, False])
def test_a_model_that_only_helps_begins_no_step(teacher_first: bool) -> None:
    model, teacher = halves(), halves(seed=2)

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            wanted = teacher(x) if teacher_first else x
            found = model(x, training=True)
            wanted = wanted if teacher_first else teacher(x)
            loss = tf.reduce_mean(tf.square(found - wanted))
        descend(model, tape, loss)

    steps = watched(model, train).steps
    assert [step.model is model for step in steps] == [True, True]
    assert [len(step.calls) for step in steps] == [1, 1]


def test_a_given_model_that_only_teaches_is_not_the_one_trained() -> None:
    given, student = halves(), halves(seed=2)

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(student(x) - given(x)))
        descend(student, tape, loss)

    assert [step.model is student for step in watched(given, train).steps] == [True, True]


def test_steps_of_another_model_before_the_given_one_is_trained_are_forgotten() -> None:
    model, critic = halves(), halves(seed=2)

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(critic(model(x)))
        descend(critic, tape, loss)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(critic(model(x)))
        descend(model, tape, loss)
        model(x)

    trace = watched(model, train)
    assert [step.model is model for step in trace.steps] == [True, True]
    assert all(step.applied is not None for step in trace.steps)
    assert [evaluation.position for evaluation in trace.evaluations] == [1, 2]


def test_two_tapes_and_two_optimizers_make_one_step() -> None:
    model = halves()
    encoder, decoder = parts(model)
    adam, descent = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1)

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as one, tf.GradientTape() as other:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - x))
        of_encoder = one.gradient(loss, encoder.trainable_variables)
        of_decoder = other.gradient(loss, decoder.trainable_variables)
        adam.apply(of_decoder, decoder.trainable_variables)
        descent.apply(of_encoder, encoder.trainable_variables)

    first, second = watched(model, train).steps
    assert first.sources == [0, 1, 2, 3]
    assert first.target == pytest.approx(float(np.mean(np.square(np.asarray(first.outputs) - X))))
    assert first.applied is not None
    assert first.applied.variables == [0, 1, 2, 3]
    assert [part.variables for part in first.applied.parts] == [[0, 1], [2, 3]]
    assert all(map(np.array_equal, first.applied.gradients, first.gradients))
    assert all(map(np.array_equal, first.after or [], second.before or []))


def test_a_loss_that_is_differentiated_twice_counts_once() -> None:
    model = halves()

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean(tf.square(model(x) - x))
        norms.append(tape.gradient(loss, model.trainable_variables))
        descend(model, tape, loss)
        losses.append(float(loss))

    norms: list[list[tf.Tensor]] = []
    losses: list[float] = []
    first = watched(model, train).steps[0]
    assert first.target == pytest.approx(losses[0])
    assert all(map(np.array_equal, first.gradients, norms[0]))


def test_features_made_outside_of_the_tape_belong_to_the_step() -> None:
    model = halves()
    encoder, decoder = parts(model)

    def train(x: tf.Tensor) -> None:
        features = encoder(x, training=False)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(decoder(features, training=True) - x))
        variables = decoder.trainable_variables
        keras.optimizers.SGD(0.1).apply(tape.gradient(loss, variables), variables)

    trace = watched(model, train)
    assert not trace.evaluations
    assert np.array_equal(trace.steps[0].inputs, X)
    assert [call.training for call in trace.steps[0].calls] == [False, True]
    assert trace.steps[0].sources == [2, 3]


def test_an_evaluation_in_parts_is_one() -> None:
    model = halves()
    encoder, decoder = parts(model)

    def evaluate(x: tf.Tensor) -> None:
        decoder(encoder(x, training=False) * 2.0)

    trace = watched(model, evaluate)
    assert len(trace.evaluations) == 2
    assert trace.evaluations[0].model is model
    assert np.array_equal(trace.evaluations[0].inputs, X)
    assert trace.evaluations[0].outputs.shape == (4, 6)


def test_a_model_around_the_given_one_is_trained_as_a_whole() -> None:
    class Scaled(keras.Model):
        def __init__(self, inner: keras.Model) -> None:
            super().__init__()
            self.inner = inner
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return self.scale * self.inner(inputs)

    model = halves()
    outer = Scaled(model)

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(outer(x) - x))
        descend(outer, tape, loss)

    steps = watched(model, train).steps
    assert [step.model is outer for step in steps] == [True, True]
    assert -1 not in steps[0].sources


def test_what_recurrent_layers_carry_is_kept() -> None:
    series = keras.Input(batch_shape=(4, 6, 1))
    hidden = keras.layers.GRU(2, stateful=True, name="memory")(series)
    model = keras.Model(series, keras.layers.Dense(1)(hidden))

    def train(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x[..., None]))
        descend(model, tape, loss)
        model(x[..., None])

    trace = watched(model, train)
    (first,), (second,) = (step.states for step in trace.steps)
    assert not first.any()
    assert second.any()
    assert trace.evaluations[0].states[0].any()
