"""Calls a model again, with the weights it had at some moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

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
from twintrain.diagnosis.watch.weight_order import counted_weights


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


class BothModes(NamedTuple):
    """A call, and its outputs made again with the flag and without."""

    call: Call
    with_flag: Arrays
    without: Arrays


def in_both_modes(step: CompleteStep) -> list[BothModes]:
    """Each call of a step in both modes, from what the calls before it left: a call in training
    moves the averages that one in inference uses.
    """
    found = []
    tolerance = forward_tolerance(compute_dtype(step.model))
    variables = [*counted_weights(step.model), *state_variables(step.model)]
    with weights_of(step.model, step.before, step.states):
        for call in calls_of(step):
            before = [value_of(variable) for variable in variables]
            with_flag = outputs_of(_again(call, True))
            after = [value_of(variable) for variable in variables]
            _assign(variables, before)
            without = outputs_of(_again(call, False))
            if all_close_to(outputs_of(call.outputs), with_flag, tolerance):
                _assign(variables, after)
            found.append(BothModes(call, with_flag, without))
    return found


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


def whole_call(step: CompleteStep) -> Callable[[], Any] | None:
    """What computes the last outputs of a step again from its first inputs, to be called with the
    weights before the step put in: its one call, its calls one into the other, or its model, where
    that is what the calls amount to. None where none of these gives the outputs.
    """
    calls = calls_of(step)
    if len(calls) == 1:
        return lambda: _again(calls[0], calls[0].training)
    if all(_is_fed(calls[:number], calls[number]) for number in range(1, len(calls))):
        return lambda: _in_chain(calls)

    def whole() -> Any:
        return call_model(step.model, step.inputs, step.training)

    try:
        with weights_of(step.model, step.before, step.states):
            composed = outputs_of(whole())
    except Exception:
        return None  # the model does not take the inputs of its first part
    tolerance = forward_tolerance(compute_dtype(step.model))
    return whole if all_close_to(outputs_of(step.outputs), composed, tolerance) else None


def _is_fed(earlier: list[Call], call: Call) -> bool:
    """Whether a call takes only what earlier ones gave."""
    known = {id(tensor) for one in earlier for tensor in keras.tree.flatten(one.outputs)}
    return all(id(tensor) in known for tensor in keras.tree.flatten(call.inputs))


def _in_chain(calls: list[Call]) -> Any:
    """Calls made again, each on what the earlier ones now give."""
    now: dict[int, Any] = {}
    outputs = None

    def renewed(value: Any) -> Any:
        return now.get(id(value), value)

    for call in calls:
        given = (call.arguments, call.named)
        arguments, named = keras.tree.map_structure(renewed, given)
        outputs = _again(replace(call, arguments=arguments, named=named), call.training)
        flat = zip(keras.tree.flatten(call.outputs), keras.tree.flatten(outputs), strict=True)
        now |= {id(then): again for then, again in flat}
    return outputs


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
    """Put weights in for a while, one per weight, and what recurrent layers carry over;
    in the end both are as before.
    """
    before = [value_of(variable) for variable in counted_weights(model)]
    carried = [value_of(state) for state in state_variables(model)]
    _assign(counted_weights(model), weights)
    if states:
        _assign(state_variables(model), states)
    try:
        yield
    finally:
        _assign(counted_weights(model), before)
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
