"""Calls a model again, with the weights it had at some moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import all_close_to
from twintrain.diagnosis.replay.tolerances import forward_tolerance
from twintrain.diagnosis.watch.trace import (
    Arrays,
    Call,
    CompleteStep,
    Step,
    rows_in,
    state_variables,
    value_of,
)


def forward(step: CompleteStep, training: bool | None, states: Arrays | None = None) -> list[Any]:
    """The outputs of each call of a step, from the weights and states before it; the model is left
    as it was.

    Args:
        step: whose calls are made again, each with the inputs it had.
        training: the flag they get.
        states: what recurrent layers carry over, where it is not what they did.
    """
    carried = step.states if states is None else states
    with weights_of(step.model, step.before, carried):
        return [_again(call, training) for call in calls_of(step)]


def calls_of(step: Step) -> list[Call]:
    """The calls of a step; the one of its model where no others were noted."""
    if step.calls:
        return step.calls
    return [Call(step.model, (step.inputs,), {}, step.training, step.outputs)]


def seen_outputs(step: Step) -> Arrays:
    """The outputs of all calls of a step, as float32."""
    return outputs_of([call.outputs for call in calls_of(step)])


def _again(call: Call, training: bool | None) -> Any:
    """A call once more, with another flag where the layer takes one."""
    named = {name: value for name, value in call.named.items() if name != "training"}
    # By place, the flag stands after the inputs.
    arguments = tuple(value for value in call.arguments if not isinstance(value, bool))
    try:
        return call.layer(*arguments, **named, training=training)
    except TypeError:
        return call.layer(*arguments, **named)


def whole_call(step: CompleteStep) -> keras.layers.Layer | None:
    """What gives the last outputs of a step when it is called on its first inputs: the one layer
    that was called; of several calls, the model, where it composes them. None where neither does.
    """
    calls = calls_of(step)
    if len(calls) == 1:
        return calls[0].layer
    try:
        with weights_of(step.model, step.before, step.states):
            composed = call_model(step.model, step.inputs, step.training)
    except Exception:
        return None  # the model does not take the inputs of its first part
    tolerance = forward_tolerance(compute_dtype(step.model))
    same = all_close_to(outputs_of(step.outputs), outputs_of(composed), tolerance)
    return step.model if same else None


def call_model(model: keras.layers.Layer, inputs: Any, training: bool | None) -> Any:
    """Call a model with a flag, also one whose `call` takes none, and one with a fixed batch
    dimension on any number of rows.
    """
    fixed, count = _fixed_rows(model), rows_in(inputs)
    if fixed is None or fixed == count:
        return _called(model, inputs, training)
    parts = []
    for start in range(0, count, fixed):
        chosen = np.arange(start, start + fixed) % count  # the last batch is filled up
        rows = keras.tree.map_structure(lambda a: np.asarray(a)[chosen], inputs)  # noqa: B023
        parts.append(_called(model, keras.tree.map_structure(_tensor, rows), training))
    return keras.tree.map_structure(lambda *p: keras.ops.concatenate(p)[:count], *parts)


def _tensor(value: np.ndarray) -> Any:
    return keras.ops.convert_to_tensor(value)


def _called(model: keras.layers.Layer, inputs: Any, training: bool | None) -> Any:
    try:
        return model(inputs, training=training)
    except TypeError:
        return model(inputs)


def _fixed_rows(model: keras.layers.Layer) -> int | None:
    """The only number of rows a model takes; None where it takes any."""
    if isinstance(model, keras.Model):
        declared = [tensor.shape[0] for tensor in getattr(model, "inputs", None) or []]
        carried = [int(state.shape[0]) for state in state_variables(model)]
        return next((rows for rows in (*declared, *carried) if rows is not None), None)
    return None


@contextmanager
def weights_of(model: keras.Model, weights: Arrays, states: Arrays | None = None) -> Iterator[None]:
    """Put weights in for a while, one per `model.variables`, and what recurrent layers carry over;
    in the end both are as before.
    """
    before = [value_of(variable) for variable in model.variables]
    carried = [value_of(state) for state in state_variables(model)]
    _assign(model.variables, weights)
    if states:
        _assign(state_variables(model), states)
    try:
        yield
    finally:
        _assign(model.variables, before)
        _assign(state_variables(model), carried)


def _assign(variables: list[keras.Variable], values: Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def compute_dtype(model: keras.Model) -> str:
    """The type a model computes in."""
    return str(model.dtype_policy.compute_dtype)


def outputs_of(nest: Any) -> Arrays:
    """The outputs of a model, one after the other, as float32."""
    return [np.asarray(keras.ops.cast(t, "float32")) for t in keras.tree.flatten(nest)]
