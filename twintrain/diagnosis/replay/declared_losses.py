"""The losses a training is declared with, and which output each is for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from twintrain.diagnosis.watch.trace import Step, Trace

Values = Callable[[Any, Any], tf.Tensor]
Shape = tuple[int, ...]
# Outputs for which every order is tried.
_MOST = 6


@dataclass
class Declared:
    """The losses a training was declared with.

    Attributes:
        name: for people.
        values: per output, from targets and predictions to unreduced values.
        kinds: per output, 'sparse', 'dense', 'binary' or 'other'.
        weights: per output.
        pick: gets the targets or predictions of each output from their nest.
    """

    name: str
    values: list[Values]
    kinds: list[str]
    weights: list[float]
    pick: Callable[[Any], list[Any]]


def declared_by(trace: Trace) -> list[Declared]:
    """The losses seen on a side: what its model was compiled with, and Keras loss objects it
    called.
    """
    if not trace.steps:
        return []
    first = trace.steps[0]
    found = [_compiled(first)] if trace.fits or first.model.compiled else []
    found.append(_called(first))
    return [declared for declared in found if declared is not None]


def _compiled(step: Step) -> Declared | None:
    """The losses that the model of a step was compiled with."""
    flat = getattr(getattr(step.model, "_compile_loss", None), "_flat_losses", None)
    if not flat:
        return None
    weights = [one.loss_weights or 1.0 for one in flat]
    paths = [one.path for one in flat]
    outputs = [_at(step.outputs, path) for path in paths]
    known = len(outputs) > 1 and all(hasattr(one, "shape") for one in outputs)
    shapes = [_of_a_row(one) for one in outputs] if known else None
    return declare([one.loss for one in flat], weights, paths, shapes)


def _called(step: Step) -> Declared | None:
    """The loss objects that were called in a step, where there is one for each output."""
    objects = [call.loss for call in step.losses if hasattr(call.loss, "reduction")]
    if not objects or len(objects) != len(keras.tree.flatten(step.outputs)):
        return None
    paths = [()] if len(objects) == 1 else [(i,) for i in range(len(objects))]
    return declare(objects, [1.0] * len(objects), paths)


def declare(
    losses: list[Any], weights: list[float], paths: list[Any], shapes: list[Shape] | None = None
) -> Declared:
    """Losses, one per output.

    Args:
        losses: Keras loss objects.
        weights: of each.
        paths: where the output of each stands in the nest of targets and predictions.
        shapes: of a row of each output; by them the outputs of another model are put in order.
    """

    def pick(nest: Any) -> list[Any]:
        flat = keras.tree.flatten(nest)
        if len(paths) == 1:
            return [flat[0] if len(flat) == 1 else nest]
        parts = [_at(nest, path) for path in paths]
        if any(part is None for part in parts):  # another nest: a tuple for a dictionary, say
            parts = [flat[number] for number in range(len(paths))]
        return parts if shapes is None else _in_order(parts, shapes)

    names = [getattr(loss, "name", type(loss).__name__) for loss in losses]
    return Declared(
        ", ".join(names),
        [_values(loss) for loss in losses],
        [_kind(loss) for loss in losses],
        weights,
        pick,
    )


def _at(nest: Any, path: Sequence[Any]) -> Any:
    """The part of a nest at a path; None where it has none."""
    for key in path:
        try:
            nest = nest[key]
        except (KeyError, TypeError, IndexError):
            return None
    return nest


def _of_a_row(tensor: Any) -> Shape:
    return tuple(tensor.shape[1:])


def _in_order(parts: list[Any], shapes: list[Shape]) -> list[Any]:
    """The parts in the only order in which they have these shapes; as they are where they have
    them already, or where no order has or several have.
    """
    if len(parts) > _MOST or any(getattr(part, "shape", None) is None for part in parts):
        return parts
    if [_of_a_row(part) for part in parts] == shapes:
        return parts
    orders = [
        list(order)
        for order in itertools.permutations(parts)
        if [_of_a_row(part) for part in order] == shapes
    ]
    return orders[0] if len(orders) == 1 else parts


def _values(loss: Any) -> Values:
    def values(y: Any, p: Any) -> tf.Tensor:
        y = tf.convert_to_tensor(y)
        if y.dtype != p.dtype and _kind(loss) != "sparse":
            y = tf.cast(y, p.dtype)
        if p.shape.rank == 1:  # of a value per row, the loss would be one for all rows
            y, p = tf.reshape(y, (-1, 1)), tf.reshape(p, (-1, 1))
        found: tf.Tensor = loss.call(y, p)
        return found

    return values


def _kind(loss: Any) -> str:
    function = getattr(getattr(loss, "fn", None), "__name__", "")
    name = f"{type(loss).__name__} {function}".lower()
    if "sparse" in name:
        return "sparse"
    if "binary" in name:
        return "binary"
    return "dense" if "categorical" in name else "other"
