"""Sees the calls of models and of their layers, in training and outside of it, and of the losses of
a step.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras

from twintrain.diagnosis.watch.beside import arrays_beside
from twintrain.diagnosis.watch.places import user_spot
from twintrain.diagnosis.watch.recording import Recording, states_of
from twintrain.diagnosis.watch.seams import Nesting, Seam, is_concrete
from twintrain.diagnosis.watch.trace import (
    Arrays,
    Call,
    Evaluation,
    LossCall,
    Step,
    first_of,
    snapshot,
)
from twintrain.diagnosis.watch.trained_model import is_whole


class ModelObserver:
    """Observer of layers and losses. A call under a tape belongs to a step, any other to an
    evaluation.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._layers, self._losses = Nesting(), Nesting()
        # Parts of the model called one after the other outside of a tape.
        self._apart: list[Call] = []

    def seams(self) -> list[Seam]:
        """The methods it looks at."""
        return [
            (keras.layers.Layer, "__call__", self._layer),
            (keras.losses.Loss, "__call__", self._loss),
        ]

    def _layer(
        self, original: Callable[..., Any], layer: Any, *arguments: Any, **named: Any
    ) -> Any:
        owner = self._owner(layer, arguments, named)
        if owner is None:
            with self._layers:
                return original(layer, *arguments, **named)
        recording = self._recording
        if recording.tapes:
            recording.prepare()
        else:
            recording.check()
            recording.finish_step()
        known = recording.tapes > 0 and recording.step_of(owner) is not None
        before = [] if known else snapshot(owner)
        states = [] if known else states_of(owner)
        with self._layers:
            outputs = original(layer, *arguments, **named)
        owner = recording.trained.owner_of(layer)
        if owner is None:
            return outputs  # nothing to train came to light
        flag = _flag(layer, arguments, named)
        call = Call(layer, arguments, named, flag, outputs, user_spot())
        made = not known and len(before) != len(owner.variables)
        if made:
            before = snapshot(owner)  # its weights were made by this very call
        if made and not recording.tapes:
            return outputs  # of weights that nothing has trained: it is called to make them
        if recording.tapes:
            self._seen(owner, call, before, states)
        else:
            self._seen_outside(owner, call, before, states)
        return outputs

    def _owner(
        self, layer: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> keras.Model | None:
        """The model that a call is a forward pass of; None for a call within another one, one on
        symbols, and one of a layer of which nothing can be trained.
        """
        if not self._layers.outermost:
            return None
        inputs = keras.tree.flatten(first_of(layer, arguments, named))
        if not inputs or not all(map(is_concrete, inputs)):
            return None
        if not layer.built and not layer.variables and isinstance(layer, keras.Model):
            return layer
        return self._recording.trained.owner_of(layer)

    def _seen(self, owner: keras.Model, call: Call, before: Arrays, states: Arrays) -> None:
        """A call under a tape: it begins the step of its model, or goes on with it."""
        recording = self._recording
        step = recording.step_of(owner)
        if step is None:
            chain = [*self._calls_that_feed(call), call]
            step = Step(owner, chain[0].inputs, None, None, recording.element, 0.0, before)
            step.states, step.calls = states, chain[:-1]
            step.partly = not is_whole(chain[0].layer, owner)
            step.source, step.beside = recording.source, arrays_beside(step.size)
            step.note("call", call.at)
            recording.add(step)
        step.outputs = call.outputs
        step.layer_losses = float(sum(float(loss) for loss in owner.losses))
        if step.training is None:
            step.training = call.training
        if step.before is not None:
            step.calls.append(call)

    def _calls_that_feed(self, call: Call) -> list[Call]:
        """Calls outside of a tape that made the inputs of one under it: a part of the model that
        is not trained, say. They are no evaluation.
        """
        if not self._apart or not _feeds(self._apart[-1], call):
            return []
        self._recording.trace.evaluations.pop()
        chain, self._apart = self._apart, []
        return chain

    def _seen_outside(
        self, owner: keras.Model, call: Call, weights: Arrays, states: Arrays
    ) -> None:
        """A forward pass without a tape; only the first after a step keeps the weights."""
        recording = self._recording
        evaluations, position = recording.trace.evaluations, recording.position
        last = evaluations[-1] if evaluations else None
        whole = is_whole(call.layer, owner)
        if self._apart and not whole and last is not None and self._goes_on(last, call):
            self._apart.append(call)
            last.outputs = call.outputs
            if last.training is None:
                last.training = call.training
            return
        self._apart = [] if whole else [call]
        first = last is None or last.position != position
        model = call.layer if whole and isinstance(call.layer, keras.Model) else owner
        if first and model is not owner:
            weights = snapshot(model)
        found = Evaluation(
            position, model, call.inputs, call.training, call.outputs, recording.element, None
        )
        if first:
            found.weights, found.states = weights, states
        found.source, found.at = recording.source, call.at
        evaluations.append(found)

    def _goes_on(self, last: Evaluation, call: Call) -> bool:
        """Whether a call of a part of the model goes on with the forward pass of the last one."""
        recording = self._recording
        here = last.position == recording.position and last.element is recording.element
        return here and all(call.layer is not other.layer for other in self._apart)

    def _loss(self, original: Callable[..., Any], loss: Any, *arguments: Any, **named: Any) -> Any:
        if self._recording.tapes and self._losses.outermost:
            weights = arguments[2] if len(arguments) > 2 else named.get("sample_weight")
            targets = arguments[0] if arguments else named.get("y_true")
            for step in self._recording.under_way:
                if step.target is None:
                    step.losses.append(LossCall(loss, weights, targets, user_spot()))
        with self._losses:
            return original(loss, *arguments, **named)


def _feeds(one: Call, other: Call) -> bool:
    """Whether some output of a call is an input of another."""
    outputs = {id(tensor) for tensor in keras.tree.flatten(one.outputs)}
    return any(id(tensor) in outputs for tensor in keras.tree.flatten(other.inputs))


def _flag(layer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> bool | None:
    if "training" in named:
        given = named["training"]
    else:
        try:
            bound = inspect.signature(layer.call).bind_partial(*arguments, **named)
        except TypeError:
            return None
        bound.apply_defaults()
        given = bound.arguments.get("training")
    return None if given is None else bool(given)
