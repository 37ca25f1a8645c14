"""In which order weights are counted."""

from __future__ import annotations

import keras
import pytest

from twintrain.diagnosis.watch.trace import snapshot
from twintrain.diagnosis.watch.weight_order import (
    count_in_order,
    count_like,
    counted_layers,
    counted_weights,
)


def made() -> keras.Model:
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")]
    )


def test_as_made_unless_another_order_is_given() -> None:
    model = made()
    assert all(v is w for v, w in zip(counted_weights(model), model.variables, strict=True))
    count_in_order(model, [2, 3, 0, 1])
    assert [v.path for v in counted_weights(model)] == [
        model.variables[place].path for place in (2, 3, 0, 1)
    ]
    assert [layer.name for layer in counted_layers(model) if layer.variables] == ["b", "a"]
    assert [value.shape for value in snapshot(model)] == [(4, 2), (2,), (3, 4), (4,)]


def test_a_copy_is_counted_like_the_model() -> None:
    model, copy = made(), made()
    count_in_order(model, [2, 3, 0, 1])
    count_like(copy, model)
    assert [value.shape for value in snapshot(copy)] == [(4, 2), (2,), (3, 4), (4,)]
    count_like(copy, made())
    assert snapshot(copy)[0].shape == (4, 2)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 0, 1, 2], [1, 2, 3, 4]])
def test_an_order_has_each_weight_once(order: list[int]) -> None:
    with pytest.raises(ValueError, match="once each"):
        count_in_order(made(), order)


def test_layers_of_a_part_stand_in_the_order_of_their_weights() -> None:
    part = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(4)])
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(part(inputs)))
    kernels = [layer.kernel for layer in counted_layers(model) if hasattr(layer, "kernel")]
    wanted = [variable for variable in model.variables if len(variable.shape) > 1]
    assert all(a is b for a, b in zip(kernels, wanted, strict=True))
