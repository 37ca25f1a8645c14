"""Which layer of one model is which of another that somebody else wrote down."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.compare import all_close_to
from twintrain.diagnosis.replay.model_calls import outputs_of
from twintrain.diagnosis.watch.seams import is_concrete, suspended, wrapped
from twintrain.diagnosis.watch.trace import snapshot, state_variables, value_of
from twintrain.diagnosis.watch.weight_order import counted_weights

# Rows of inputs that are made up where a batch size is not known.
_ROWS = 2


@dataclass(frozen=True)
class _Own:
    """The weights that a layer holds by itself: their places in `model.variables`, and shapes."""

    layer: keras.layers.Layer
    places: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]


def order_like(given: keras.Model, model: keras.Model, inputs: Any) -> list[int] | None:
    """Find in which order the weights of a model are those of another.

    Layers are matched by the shapes of their weights where these tell them apart; else in the order
    in which they are called, in that in which they were made, or by their names: that is taken in
    which both models give the same.

    Args:
        given: whose order it is to be.
        model: has made its weights.
        inputs: what it is about to be called with (nest of tensors, possibly symbolic); None where
            that is not known.

    Returns:
        For each weight of `given`, its place in `model.variables`; None where they are not the same
        layers, by the shapes of their weights.
    """
    ours = _own_weights(given, counted_weights(given))
    theirs = _own_weights(model, model.variables)
    whole = all(_has_all(owns, m) for owns, m in ((ours, given), (theirs, model)))
    if not whole or sorted(own.shapes for own in ours) != sorted(own.shapes for own in theirs):
        shapes = [[v.shape for v in counted_weights(given)], [v.shape for v in model.variables]]
        return list(range(len(shapes[0]))) if shapes[0] and shapes[0] == shapes[1] else None
    if _told_apart(ours):
        by_shapes = {own.shapes: own for own in theirs}
        return _places(ours, [by_shapes[own.shapes] for own in ours])
    made, named = _places(ours, theirs), _by_names(ours, theirs)
    if inputs is None or (made is not None and _written_alike(given, model)):
        return named or made
    values = _values_like(inputs)
    if values is None:
        return named or made
    called = _places(_as_called(given, ours, values), _as_called(model, theirs, values))
    found = [order for order in (called, made, named) if order is not None]
    if all(order == found[0] for order in found):
        return found[0] if found else None
    same = (order for order in found if _same_outputs(given, model, order, values))
    # Where no order gives the same (one side has an activation in its loss, say), names count.
    return next(same, named or made or called)


def _own_weights(model: keras.Model, variables: list[keras.Variable]) -> list[_Own]:
    """The weights of each layer, in the order in which they are counted; each weight once."""
    place = {id(variable): number for number, variable in enumerate(variables)}
    found = []
    for layer in model._flatten_layers():
        seeds = [generator.state for generator in layer._seed_generators]
        own = [*layer._trainable_variables, *layer._non_trainable_variables, *seeds]
        kept = [variable for variable in own if id(variable) in place]
        places = tuple(place.pop(id(variable)) for variable in kept)
        if places:
            found.append(_Own(layer, places, tuple(tuple(v.shape) for v in kept)))
    return sorted(found, key=lambda own: own.places)


def _has_all(owns: list[_Own], model: keras.Model) -> bool:
    """Whether these are all weights of a model; a seed that several layers share stands twice."""
    return sum(len(own.places) for own in owns) == len(model.variables)


def _told_apart(owns: list[_Own]) -> bool:
    """Whether no two layers have weights of the same shapes."""
    return len({own.shapes for own in owns}) == len(owns)


def _places(ours: list[_Own], theirs: list[_Own]) -> list[int] | None:
    """The places of their weights in the order of ours; None where the shapes do not match."""
    if [own.shapes for own in ours] != [own.shapes for own in theirs]:
        return None
    known = {
        place: other
        for own, matched in zip(ours, theirs, strict=True)
        for place, other in zip(own.places, matched.places, strict=True)
    }
    return [known[place] for place in sorted(known)]


def _by_names(ours: list[_Own], theirs: list[_Own]) -> list[int] | None:
    """By the names of layers, where both models have the same, and people gave them."""
    if any(_is_automatic(own.layer) for own in (*ours, *theirs)):
        return None
    by_name = {own.layer.name: own for own in theirs}
    names = [own.layer.name for own in ours]
    if len(by_name) != len(theirs) or set(names) != set(by_name):
        return None
    return _places(ours, [by_name[name] for name in names])


def _is_automatic(layer: keras.layers.Layer) -> bool:
    """Whether Keras named a layer: after its class, and with a number."""
    usual = keras.src.utils.naming.to_snake_case(type(layer).__name__)
    return bool(re.fullmatch(rf"{re.escape(usual)}(_\d+)?", layer.name))


def _written_alike(given: keras.Model, model: keras.Model) -> bool:
    """Whether one piece of code made the layers of both, in one order."""
    if given is model:
        return True
    return type(given) is type(model) and not isinstance(given, keras.src.models.Functional)


def _as_called(model: keras.Model, owns: list[_Own], values: Any) -> list[_Own]:
    """The layers of a model in the order in which a call of it comes to them; those that it does
    not come to, or all where it fails, as they were made.
    """
    order: dict[int, int] = {}

    def note(original: Callable[..., Any], layer: Any, *arguments: Any, **named: Any) -> Any:
        order.setdefault(id(layer), len(order))
        return original(layer, *arguments, **named)

    try:
        with _unnoticed(model), wrapped(keras.layers.Layer, "__call__", note, always=True):
            model(values, training=False)
    except Exception:  # of the user's own layers, or of inputs in another form
        return owns
    return sorted(owns, key=lambda own: order.get(id(own.layer), len(order)))


def _same_outputs(given: keras.Model, model: keras.Model, order: list[int], values: Any) -> bool:
    """Whether two models give the same, one after the other and flattened, once a model has the
    other's weights in an order; it keeps its own.
    """
    try:
        with _unnoticed(given, model):
            for value, place in zip(snapshot(given), order, strict=True):
                model.variables[place].assign(value)
            one, other = (outputs_of(m(values, training=False)) for m in (given, model))
    except Exception:  # as above
        return False
    return all_close_to([np.ravel(part) for part in one], [np.ravel(part) for part in other])


@contextmanager
def _unnoticed(*models: keras.Model) -> Iterator[None]:
    """Call models without anything to show for it: no seam sees it, and in the end their weights
    and states, and what random numbers are drawn from, are as before. What code of the user's own
    counts in a call, it has counted.
    """
    from tensorflow.python.eager import context  # the one place where operations draw their seeds

    operations = getattr(context.context(), "_rng", None)  # made when a seed is set
    drawn = [(one, one.getstate()) for one in (random, operations) if one is not None]
    numpy_state = np.random.get_state()
    kept = [v for model in models for v in (*model.variables, *state_variables(model))]
    kept.append(keras.src.random.seed_generator.global_seed_generator().state)
    values = [value_of(variable) for variable in kept]
    try:
        with suspended():
            yield
    finally:
        for variable, value in zip(kept, values, strict=True):
            variable.assign(value)
        for generator, state in drawn:
            generator.setstate(state)
        np.random.set_state(numpy_state)


def _values_like(inputs: Any) -> Any:
    """The inputs themselves where they are there to be read, else some that can stand for them;
    None where their shapes are not known either.
    """
    try:
        there = all(map(is_concrete, keras.tree.flatten(inputs)))
        return inputs if there else made_up_like(inputs)
    except Exception:  # of what is no tensor: a frame of columns, a part that is missing
        return None


def made_up_like(inputs: Any) -> Any:
    """Values that can stand for the inputs of a model; the same each time.

    Args:
        inputs: nest of tensors, possibly symbolic.
    """
    draws = np.random.default_rng(0)

    def like(tensor: Any) -> Any:
        shape = [size or _ROWS for size in tf.TensorShape(tensor.shape).as_list()]
        dtype = tf.as_dtype(tensor.dtype)
        if dtype == tf.string:
            return tf.fill(shape, "")
        values = draws.uniform(-1, 1, shape) if dtype.is_floating else draws.integers(0, 2, shape)
        return tf.cast(tf.constant(values), dtype)

    return keras.tree.map_structure(like, inputs)
