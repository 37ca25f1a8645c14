"""What a watched training notes of the lines it stands in."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tests.twintrain.diagnosis.traces import data, small_model
from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.places import Spot, place_of
from twintrain.diagnosis.watch.trace import Trace
from twintrain.diagnosis.watch.watcher import Watch

X, Y = data(20, 0).element


def watched(train: object) -> Trace:
    model = small_model()
    trace = Trace("custom_loop", [])
    with Watch(trace, 12, 100, Timer(60), model).on():
        train(model)  # type: ignore[operator]
    return trace


def code(spot: Spot | None) -> str:
    assert spot is not None
    return place_of(spot).code


def loop(model: keras.Model) -> None:
    rows = tf.data.Dataset.from_tensor_slices((X, Y))
    batches = (
        rows.shuffle(3)
        .batch(8)
        .prefetch(1)
    )  # fmt: skip
    optimizer = keras.optimizers.Adam()
    loss = keras.losses.SparseCategoricalCrossentropy()
    metric = keras.metrics.Mean()

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            value = loss(y, outputs)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for x, y in batches:
        step(x, y)
        metric.update_state(1.0)
    model(X, training=False)


def test_a_loop_is_known_line_by_line() -> None:
    trace = watched(loop)
    step = trace.steps[0]
    assert code(step.source.pulled) == "for x, y in batches:"
    assert code(step.source.at("batch")) == ".batch(8)"
    assert code(step.source.at("shuffle")) == "rows.shuffle(3)"
    assert [station.kind for station in step.source.stations] == ["batch", "shuffle"]
    assert step.source.kinds[0] == "_PrefetchDataset"
    assert code(step.places["call"]) == "outputs = model(x, training=True)"
    assert code(step.losses[0].at) == "value = loss(y, outputs)"
    assert code(step.places["gradient"]).startswith("gradients = tape.gradient(")
    assert code(step.places["update"]).startswith("optimizer.apply_gradients(")
    assert "assign" not in step.places
    assert code(trace.metrics[0].at) == "metric.update_state(1.0)"
    assert code(trace.evaluations[0].at) == "model(X, training=False)"
    assert step.applied is not None
    made = [trace.made[id(thing)][1] for thing in (step.applied.optimizer, step.losses[0].loss)]
    assert [code(spot).split(" = ")[0] for spot in made] == ["optimizer", "loss"]
    assert [step.places["call"].direct, step.places["update"].direct] == [True, False]


def by_hand(model: keras.Model) -> None:
    average = keras.metrics.Mean()
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(model(X, training=True))
    gradients = tape.gradient(value, model.trainable_variables)
    average.update_state(value)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        variable.assign_sub(0.1 * gradient)


def test_an_update_by_hand_is_where_a_weight_is_assigned() -> None:
    (step,) = watched(by_hand).steps
    assert code(step.places["assign"]) == "variable.assign_sub(0.1 * gradient)"
    assert "update" not in step.places


def fit(model: keras.Model) -> None:
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.array(X), np.array(Y), epochs=1, batch_size=8, verbose=0)


def test_what_fit_does_is_where_fit_is_called() -> None:
    trace = watched(fit)
    (compiled,) = trace.compiles
    assert code(compiled).startswith("model.compile(")
    step, here = trace.steps[0], trace.fits[0].at
    assert code(here).startswith("model.fit(")
    assert {step.source.pulled, step.places["call"], trace.metrics[-1].at} <= {
        here,
        step.places["call"],
    }
    assert code(step.places["call"]) == code(here)
    assert step.applied is not None
    assert trace.made[id(step.applied.optimizer)][1].line == compiled.line
