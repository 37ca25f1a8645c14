"""Python values a tf.function reads, and keeping them as they were at its first call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.watch.python_values import DRAWS, Freezing

Results = list[float]
weight_of_module = 1.0


@contextmanager
def eagerly() -> Iterator[None]:
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def closure() -> Results:
    weight = 1.0

    @tf.function
    def step(x: Any) -> Any:
        return weight * x

    found = []
    for value in (1.0, 2.0, 3.0):
        weight = value
        found.append(float(step(tf.constant(1.0))))
    return found


def of_the_module() -> Results:
    global weight_of_module

    @tf.function
    def step(x: Any) -> Any:
        return weight_of_module * x

    found = []
    for value in (1.0, 2.0, 3.0):
        weight_of_module = value
        found.append(float(step(tf.constant(1.0))))
    return found


class Trainer:
    """A loop as a class."""

    def __init__(self) -> None:
        self.rate, self.count, self.terms = 1.0, 0, [1.0]

    @tf.function
    def by_attribute(self, x: Any) -> Any:
        self.count += 1
        return self.rate * x

    @tf.function
    def by_list(self, x: Any) -> Any:
        return sum(self.terms) * x

    @tf.function
    def by_count(self, x: Any) -> Any:
        self.count += 1
        return float(self.count) * x


def attribute() -> Results:
    trainer, found = Trainer(), []
    for trainer.rate in (1.0, 2.0, 3.0):
        found.append(float(trainer.by_attribute(tf.constant(1.0))))
    return found


def appended() -> Results:
    trainer, found = Trainer(), []
    for _ in range(3):
        found.append(float(trainer.by_list(tf.constant(1.0))))
        trainer.terms.append(1.0)
    return found


def counted() -> Results:
    trainer = Trainer()
    return [float(trainer.by_count(tf.constant(1.0))) for _ in range(3)]


def drawn() -> Results:
    generator = np.random.default_rng(3)

    @tf.function
    def step(x: Any) -> Any:
        return generator.normal() * x

    return [float(step(tf.constant(1.0))) for _ in range(3)]


def made_anew() -> Results:
    @tf.function
    def step(x: Any) -> Any:
        return scale(x)

    found = []
    for factor in (1.0, 2.0, 3.0):
        scale = keras.layers.Rescaling(factor)
        found.append(float(step(tf.constant(1.0))))
    return found


CODES = (closure, of_the_module, attribute, appended, counted, drawn, made_anew)


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.__name__)
def test_frozen_plain_python_gives_what_the_graph_gives(code: Callable[[], Results]) -> None:
    graph = code()
    with eagerly():
        plain = code()
        freezing = Freezing()
        with freezing.on():
            frozen = code()
    assert graph == frozen
    assert graph != plain
    assert freezing.calls == 3
    assert freezing.changes


def test_one_value_is_frozen_and_not_another() -> None:
    def code() -> Results:
        a, b = 1.0, 10.0

        @tf.function
        def step(x: Any) -> Any:
            return a * x + b

        found = []
        for factor in (1.0, 2.0):
            a, b = factor, 10.0 * factor
            found.append(float(step(tf.constant(1.0))))
        return found

    with eagerly():
        seen = Freezing()
        with seen.on():
            assert code() == [11.0, 11.0]
        change = seen.changes["a"]
        assert (change.name, change.function, change.first, change.later) == ("a", "step", 1.0, 2.0)
        with Freezing(frozenset({"b"})).on():
            assert code() == [11.0, 12.0]
        with Freezing(frozenset({DRAWS})).on():
            assert code() == [11.0, 22.0]


def test_an_argument_is_no_frozen_value() -> None:
    @tf.function
    def step(x: Any, weight: float) -> Any:
        return weight * x

    with eagerly():
        freezing = Freezing()
        with freezing.on():
            assert [float(step(tf.constant(1.0), w)) for w in (1.0, 2.0)] == [1.0, 2.0]
    assert not freezing.changes


def test_flags_of_layers_are_found_and_kept() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1)])

    @tf.function
    def count() -> Any:
        return tf.constant(len(model.trainable_variables))

    with eagerly():
        freezing = Freezing()
        with freezing.on():
            assert int(count()) == 4
            model.layers[0].trainable = False
            assert int(count()) == 4
        assert len(model.trainable_variables) == 2
    (flag,) = freezing.changes.values()
    assert flag.name == f"{model.layers[0].name}.trainable"
    assert (flag.first[0], flag.later[0]) == (True, False)


def test_the_machinery_of_fit_is_no_users_value() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with eagerly():
        freezing = Freezing()
        with freezing.on():
            model.compile("adam", "mse", metrics=["mae"])
            model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=3, batch_size=4, verbose=0)
    assert {change.name for change in freezing.changes.values()} <= {DRAWS}


class Warming(keras.losses.Loss):
    """A loss with a number that a callback changes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = 0.0

    def call(self, y: Any, p: Any) -> Any:
        return self.weight * tf.reduce_mean(tf.square(y - p), axis=-1)


def test_a_number_behind_a_compiled_loss_is_found() -> None:
    model, loss = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), Warming()

    class Warm(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            loss.weight = float(epoch)

    with eagerly():
        freezing = Freezing()
        with freezing.on():
            model.compile("sgd", loss)
            history = model.fit(
                np.ones((8, 2)), np.zeros((8, 1)), epochs=3, verbose=0, callbacks=[Warm()]
            )
    assert history.history["loss"] == [0.0, 0.0, 0.0]
    assert "weight" in next(iter(freezing.changes.values())).name
