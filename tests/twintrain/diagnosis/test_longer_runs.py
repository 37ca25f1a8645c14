"""Longer runs of real code, in graphs and as plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import pair_of
from twintrain.diagnosis.budget import Budget
from twintrain.diagnosis.longer_runs import PLAIN, Long, read_graphs, run_longer
from twintrain.diagnosis.replay.early_stopping import EPOCHS
from twintrain.diagnosis.stages.graph_mode import check_graphs
from twintrain.diagnosis.watch.process_state import as_found
from twintrain.diagnosis.watch.trace import FIT, LOOP
from twintrain.diagnosis.watch.user_module import UserCodeError, subject_of

Loop = Callable[..., Any]


def build_model() -> keras.Model:
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    )


def make_dataset(split: str) -> tf.data.Dataset:
    x = np.random.default_rng(0).normal(size=(80, 3)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x[:, :1] * x[:, 1:2])).batch(16)


def keras_fit(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model.fit(ds.unbatch().shuffle(80).batch(16), epochs=epochs, verbose=0)


def loop(weight_of: Callable[[int], float], graph: bool = True, rows: int = 0) -> Loop:
    """A loop whose loss has a weight of the epoch, as a Python number."""

    def custom_loop(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> None:
        optimizer, weight = keras.optimizers.SGD(0.1), 1.0

        def step(x: Any, y: Any) -> None:
            with tf.GradientTape() as tape:
                loss = weight * tf.reduce_mean(tf.square(y - model(x, training=True)))
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

        taken = tf.function(step) if graph else step
        for epoch in range(epochs):
            weight = weight_of(epoch)
            for number, (x, y) in enumerate(ds.unbatch().shuffle(80).batch(16)):
                if rows and number * 16 >= rows:
                    raise ValueError("needs all rows")
                taken(x, y)

    return custom_loop


def run(custom_loop: Loop, fit: Loop = keras_fit) -> Long:
    functions = {
        "build_model": build_model,
        "make_dataset": make_dataset,
        FIT: fit,
        LOOP: custom_loop,
    }
    budget = Budget(300, lambda line: None)
    found = run_longer(subject_of(functions, {}), budget)
    assert found is not None
    return read_graphs(found, budget)


def test_shuffled_sides_that_train_alike_are_alike_in_every_epoch() -> None:
    with as_found():
        runs = run(loop(lambda epoch: 1.0))
    assert runs.apart is None
    assert runs.graphs[FIT].epochs == runs.graphs[LOOP].epochs == EPOCHS
    assert not runs.frozen
    assert all(reading.calls for reading in runs.readings.values())


@pytest.mark.in_turn(1)
def test_a_number_that_is_frozen_is_found() -> None:
    with as_found():
        runs = run(loop(lambda epoch: 1.0 if epoch < 2 else 3.0))
    # As a graph the loop is right by its mistake: it never changes the weight.
    assert runs.apart is None
    reading = runs.readings[LOOP]
    assert reading.apart is not None
    assert reading.apart.epoch == 3
    assert [change.name for change in reading.frozen] == ["weight"]
    assert runs.frozen == {LOOP}


@pytest.mark.in_turn(2)
def test_plain_python_goes_on_where_the_sides_part_late() -> None:
    late = lambda epoch: 1.0 if epoch < 15 else 3.0  # noqa: E731
    with as_found():
        runs = run(loop(late), loop(late, graph=False))
    assert runs.apart is not None
    assert runs.apart.epoch == 16
    assert runs.plain == EPOCHS > PLAIN
    assert [change.name for change in runs.readings[LOOP].frozen] == ["weight"]


@pytest.mark.in_turn(3)
def test_plain_python_is_not_run_where_there_is_no_function() -> None:
    with as_found():
        runs = run(loop(lambda epoch: 1.0 + epoch, graph=False))
    assert runs.readings[LOOP].eager is None
    assert runs.apart is not None
    assert runs.apart.epoch == 2


def test_code_that_raises_as_it_is_is_the_users() -> None:
    def raising(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> None:
        raise KeyError("lost")

    with as_found(), pytest.raises(UserCodeError, match=LOOP):
        run(raising)


@pytest.mark.in_turn(1)
def test_updates_that_fit_counts_too_many_are_told() -> None:
    with as_found():
        adam = loop(lambda epoch: 1.0, graph=False)
        runs = run(adam, fit_of_unknown_length)
    pair = pair_of()
    check_graphs(pair, runs.readings, runs.apart)
    (said,) = pair.findings.differing
    assert "keras_fit counts 6 updates in its first epoch, which has 5 batches" in said


def test_updates_that_are_counted_for_nothing_are_no_difference() -> None:
    with as_found():
        runs = run(loop(lambda epoch: 1.0), fit_of_unknown_length_by_descent)
    pair = pair_of()
    check_graphs(pair, runs.readings, runs.apart)
    assert runs.apart is None
    assert not pair.findings.differing


def fit_of_unknown_length(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
    model.compile(keras.optimizers.Adam(0.1), "mse")
    return model.fit(ds.unbatch().batch(16), epochs=epochs, verbose=0)


def fit_of_unknown_length_by_descent(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model.fit(ds.unbatch().batch(16), epochs=epochs, verbose=0)
