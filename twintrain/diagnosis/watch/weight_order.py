"""In which order the weights of a model are counted.

`model.variables` follows the order in which layers were made. Where two people wrote the same model
down, that is no part of it: so one of them is counted in the order of the other, and a position is
that of the same weight on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import keras

_ORDERS: WeakKeyDictionary[keras.Model, list[int]] = WeakKeyDictionary()


def count_in_order(model: keras.Model, order: Sequence[int]) -> None:
    """Have the weights of a model counted in another order from now on.

    Args:
        model: has made its weights.
        order: for each position, the place of its weight in `model.variables`.

    Raises:
        ValueError: not all of its weights are in it, once each.
    """
    if sorted(order) != list(range(len(model.variables))):
        raise ValueError(f"{list(order)} are not the {len(model.variables)} weights, once each")
    _ORDERS[model] = list(order)


def counted_weights(model: keras.Model) -> list[keras.Variable]:
    """`model.variables`, in the order in which the weights of this model are counted."""
    variables: list[keras.Variable] = model.variables
    order = _ORDERS.get(model)
    if order is None or len(order) != len(variables):
        return variables
    return [variables[place] for place in order]


def counted_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model and of its parts, in the order in which its weights are counted;
    without weights, where they stand among `model.layers`.
    """
    layers: list[keras.layers.Layer] = model._flatten_layers(include_self=False)
    place = {id(variable): number for number, variable in enumerate(counted_weights(model))}
    counted = [layer for layer in layers if layer.variables]
    sorted_ = iter(sorted(counted, key=lambda layer: min(place[id(v)] for v in layer.variables)))
    return [next(sorted_) if layer.variables else layer for layer in layers]


def count_like(model: keras.Model, other: keras.Model) -> None:
    """Have the weights of a copy of a model, one that was made anew say, counted as those of the
    model are.
    """
    if other not in _ORDERS or model in _ORDERS:
        return
    if [v.shape for v in model.variables] == [v.shape for v in other.variables]:
        _ORDERS[model] = _ORDERS[other]
