"""Which layer is which, in models of two authors."""

from __future__ import annotations

import random

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.scripts.layer_matching import made_up_like, order_like
from twintrain.diagnosis.scripts.same_start import SameStart

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def functional(sizes: tuple[int, ...]) -> keras.Model:
    inputs = x = keras.Input((5,))
    for size in sizes:
        x = keras.layers.Dense(size, "tanh")(x)
    return keras.Model(inputs, keras.layers.Dropout(0.3)(x))


class Own(keras.Model):
    """The same, its layers made in another order than they are called."""

    def __init__(self, sizes: tuple[int, ...], made: tuple[int, ...]) -> None:
        super().__init__()
        self.drop = keras.layers.Dropout(0.3)
        for place in made:
            setattr(self, f"part_{place}", keras.layers.Dense(sizes[place], "tanh"))
        self.count = len(sizes)
        self(X)

    def call(self, x: object, training: bool | None = None) -> object:
        for place in range(self.count):
            x = getattr(self, f"part_{place}")(x)
        return self.drop(x, training=training)


def starts_alike(given: keras.Model, model: keras.Model) -> bool:
    """Whether a model that is given the other's weights computes what the other does."""
    start = SameStart(given, parts=False)
    start.start(model, X)
    return start.handed_over and np.allclose(given(X), model(X), rtol=1e-6)


def test_layers_that_weights_tell_apart() -> None:
    given, own = functional((4, 3, 2)), Own((4, 3, 2), (2, 0, 1))
    assert starts_alike(given, own)


def test_layers_alike_are_matched_as_they_are_called() -> None:
    given, own = functional((5, 5, 5)), Own((5, 5, 5), (2, 0, 1))
    assert order_like(given, own, None) is None
    assert starts_alike(given, own)


class Branches(keras.Model):
    """Two parts beside each other, called in one order and made in another."""

    def __init__(self, other_way: bool) -> None:
        super().__init__()
        self.one, self.two = keras.layers.Dense(4), keras.layers.Dense(4)
        self.other_way = other_way
        self(X)

    def call(self, x: object) -> object:
        if self.other_way:
            second = self.two(x)
            return self.one(x) - second
        return self.one(x) - self.two(x)


class SameBranches(Branches):
    """A class of its own."""


def test_of_two_orders_the_one_that_gives_the_same_is_taken() -> None:
    assert starts_alike(Branches(False), SameBranches(True))


def test_other_layers_have_no_order() -> None:
    assert order_like(functional((4, 3)), functional((3, 4)), X) is None


class Flat(keras.Model):
    """Weights of its own instead of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a = self.add_weight(shape=(5, 3), name="a")
        self.b = self.add_weight(shape=(3,), name="b")

    def call(self, x: object) -> object:
        return tf.tanh(tf.matmul(x, self.a) + self.b)


def test_weights_without_layers_are_matched_in_their_order() -> None:
    given = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, "tanh")])
    assert starts_alike(given, Flat())


def test_looking_leaves_nothing_behind() -> None:
    given, own = functional((5, 5)), Own((5, 5), (1, 0))
    keras.utils.set_random_seed(7)
    expected = random.random(), np.random.rand(), float(tf.random.normal(()))
    keras.utils.set_random_seed(7)
    before = own.get_weights()
    assert order_like(given, own, tf.constant(X)) is not None
    assert (random.random(), np.random.rand(), float(tf.random.normal(()))) == expected
    assert all(np.array_equal(a, b) for a, b in zip(before, own.get_weights(), strict=True))


def test_values_are_made_up_for_symbols() -> None:
    symbols = {"x": keras.Input((4,)), "text": keras.Input((), dtype="string")}
    found = made_up_like(symbols)
    assert found["x"].shape == (2, 4)
    assert found["text"].numpy().tolist() == [b"", b""]
    np.testing.assert_array_equal(found["x"], made_up_like(symbols)["x"])


def test_inputs_that_are_no_tensors_leave_it_at_how_the_layers_were_made() -> None:
    given, own = functional((5, 5)), Own((5, 5), (0, 1))
    for inputs in ({"a": None}, "rows", object()):
        assert order_like(given, own, inputs) is None  # its dropout was made first
        assert order_like(given, functional((5, 5)), inputs) == list(range(5))


def heads(made: tuple[str, ...], activation: str | None) -> keras.Model:
    """Two heads on one body, by name, made in some order."""
    inputs = keras.Input((5,))
    found = {name: keras.layers.Dense(3, activation, name=name)(inputs) for name in made}
    return keras.Model(inputs, [found["price"], found["kind"]])


def test_names_count_where_no_order_gives_the_same() -> None:
    """One side has the activation in its loss."""
    given, own = heads(("price", "kind"), "softmax"), heads(("kind", "price"), None)
    SameStart(given, parts=False).start(own, X)
    for name in ("price", "kind"):
        one, other = (model.get_layer(name).kernel for model in (given, own))
        np.testing.assert_array_equal(one, other)
