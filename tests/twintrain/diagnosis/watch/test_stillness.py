"""Random numbers, held still and let go again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.watch.stillness import still

ROWS = 8
DROPOUT = keras.layers.Dropout(0.5, seed=3)


def in_place(shuffle: Callable[[Any], Any]) -> list[int]:
    """What becomes of rows that are shuffled where they stand."""
    rows = list(range(ROWS))
    shuffle(rows)
    return rows


SHUFFLES: dict[str, Callable[[], Any]] = {
    "tf.data": lambda: tf.data.Dataset.range(ROWS).shuffle(ROWS).as_numpy_iterator(),
    "tf.random": lambda: tf.random.shuffle(tf.range(ROWS)).numpy(),
    "keras.random": lambda: np.array(keras.random.shuffle(tf.range(ROWS))),
    "numpy, by number": lambda: np.random.permutation(ROWS),
    "numpy, by array": lambda: np.random.permutation(np.arange(ROWS)),
    "numpy, in place": lambda: in_place(np.random.shuffle),
    "a generator": lambda: np.random.default_rng(1).permutation(ROWS),
    "a generator, in place": lambda: in_place(np.random.default_rng(1).shuffle),
    "a generator's choice": lambda: np.random.default_rng(1).choice(ROWS, ROWS, replace=False),
    "an older generator": lambda: np.random.RandomState(1).permutation(ROWS),
    "python": lambda: in_place(random.shuffle),
    "python, of one's own": lambda: in_place(random.Random(1).shuffle),
    "fit, on arrays": lambda: fitted_on(),
}


def fitted_on() -> list[int]:
    """The order in which `fit` takes the rows of arrays."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    seen: list[int] = []

    class Spy(keras.losses.Loss):
        def call(self, y: Any, p: Any) -> Any:
            seen.extend(int(value) for value in tf.reshape(y, [-1]))
            return tf.reduce_mean(tf.square(y - p), axis=-1)

    model.compile("sgd", Spy(), run_eagerly=True)
    x = np.arange(ROWS, dtype="float32")[:, None]
    model.fit(x, x, batch_size=ROWS, verbose=0)
    return seen


@pytest.mark.parametrize("name", SHUFFLES)
def test_nothing_is_shuffled_until_it_is_let_go(name: str) -> None:
    keras.utils.set_random_seed(5)
    with still({}):
        assert [int(row) for row in SHUFFLES[name]()] == list(range(ROWS))
    keras.utils.set_random_seed(5)
    orders = [[int(row) for row in SHUFFLES[name]()] for _ in range(3)]
    assert any(order != list(range(ROWS)) for order in orders)
    assert all(sorted(order) == list(range(ROWS)) for order in orders)


DRAWS: dict[str, Callable[[], Any]] = {
    "normal": lambda: tf.random.normal([4], 1.0, 2.0),
    "uniform": lambda: tf.random.uniform([4]),
    "uniform, whole": lambda: tf.random.uniform([9], 0, 1000, tf.int32),
    "truncated": lambda: tf.random.truncated_normal([4]),
    "categorical": lambda: tf.random.categorical([[0.0] * 50], 9),
    "dropout": lambda: tf.nn.dropout(tf.ones([40]), 0.5),
    "keras layer": lambda: DROPOUT(tf.ones([40]), training=True),
    "image": lambda: tf.image.random_brightness(tf.zeros([2, 2, 1]), 0.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_repeat_themselves_in_graphs_and_outside_of_them(name: str) -> None:
    draw = DRAWS[name]
    with still({}):
        graph = tf.function(draw)
        drawn = [np.array(one) for one in (draw(), draw(), graph(), graph())]
    assert all(np.array_equal(drawn[0], other) for other in drawn[1:])
    keras.utils.set_random_seed(5)
    assert not np.array_equal(draw(), draw())


def test_a_layer_goes_on_drawing_where_it_stood() -> None:
    layer = keras.layers.Dropout(0.5, seed=3)
    before = np.array(layer.seed_generator.state)
    with still({}):
        layer(tf.ones([40]), training=True)
    assert np.array_equal(before, np.array(layer.seed_generator.state))
    masks = [np.array(layer(tf.ones([40]), training=True)) for _ in range(2)]
    assert not np.array_equal(*masks)


def test_what_a_module_imported_by_name_or_made_itself_is_held_too() -> None:
    draws = np.random.default_rng(0)
    names = {"permutation": np.random.permutation, "rng": draws, "other": 3}
    with still(names):
        assert list(names["permutation"](ROWS)) == list(range(ROWS))  # type: ignore[operator]
        assert list(names["rng"].permutation(ROWS)) == list(range(ROWS))  # type: ignore[attr-defined]
    assert names == {"permutation": np.random.permutation, "rng": draws, "other": 3}


def test_numpy_goes_on_drawing() -> None:
    with still({}):
        assert np.random.normal() != np.random.normal()
        assert np.random.default_rng(1).normal() == np.random.default_rng(1).normal()


def test_a_generator_that_was_made_before_the_training_leaves_the_order_once_it_has_begun() -> None:
    waiting = True
    with still({}, lambda: waiting):
        generator, older = np.random.default_rng(1), np.random.RandomState(1)
        drawn = np.random.default_rng(1).permutation(ROWS)
        assert generator.permutation(ROWS).tolist() == drawn.tolist() != list(range(ROWS))
        waiting = False
        assert generator.permutation(ROWS).tolist() == list(range(ROWS))
        assert older.permutation(ROWS).tolist() == list(range(ROWS))
    assert type(np.random.default_rng(1)) is np.random.Generator
