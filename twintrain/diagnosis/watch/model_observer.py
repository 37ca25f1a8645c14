"""Sees the calls of models, in training and outside of it, and of the losses of a step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras

from twintrain.diagnosis.watch.recording import Recording
from twintrain.diagnosis.watch.seams import Nesting, Seam, is_concrete
from twintrain.diagnosis.watch.trace import Arrays, Evaluation, LossCall, Step, snapshot


class ModelObserver:
    """Observer of layers and losses. A call of a model under a tape begins a step."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._layers, self._losses = Nesting(), Nesting()

    def seams(self) -> list[Seam]:
        """The methods it looks at."""
        return [
            (keras.layers.Layer, "__call__", self._layer),
            (keras.losses.Loss, "__call__", self._loss),
        ]

    def _layer(
        self, original: Callable[..., Any], layer: Any, *arguments: Any, **named: Any
    ) -> Any:
        inputs = arguments[0] if arguments else next(iter(named.values()), None)
        if not self._is_watched(layer, inputs):
            with self._layers:
                return original(layer, *arguments, **named)
        self._recording.check()
        self._recording.finish_step()
        before = snapshot(layer) if layer.built else None
        with self._layers:
            outputs = original(layer, *arguments, **named)
        if before is None or len(before) != len(layer.variables):
            before = snapshot(layer)  # its weights were made by this very call
        self._seen(layer, inputs, _flag(layer, arguments, named), outputs, before)
        return outputs

    def _is_watched(self, layer: Any, inputs: Any) -> bool:
        """Whether a call is that of a whole model, on real data, that has something to train."""
        if not self._layers.outermost or not isinstance(layer, keras.Model):
            return False
        if not all(map(is_concrete, keras.tree.flatten(inputs))):
            return False
        return not layer.built or bool(layer.trainable_variables)

    def _seen(
        self, model: keras.Model, inputs: Any, flag: bool | None, outputs: Any, before: Arrays
    ) -> None:
        recording = self._recording
        if not recording.tapes:
            self._seen_outside(model, inputs, flag, outputs, before)
            return
        added = float(sum(float(loss) for loss in model.losses)) if model.losses else 0.0
        step = Step(model, inputs, flag, outputs, recording.element, added)
        recording.begin_step(step, before)

    def _seen_outside(
        self, model: keras.Model, inputs: Any, flag: bool | None, outputs: Any, weights: Arrays
    ) -> None:
        """A forward pass without a tape; only the first after a step keeps the weights."""
        trace, position = self._recording.trace, len(self._recording.trace.steps)
        first = not trace.evaluations or trace.evaluations[-1].position != position
        kept = weights if first else None
        trace.evaluations.append(
            Evaluation(position, model, inputs, flag, outputs, self._recording.element, kept)
        )

    def _loss(self, original: Callable[..., Any], loss: Any, *arguments: Any, **named: Any) -> Any:
        step = self._recording.step
        of_a_step = self._recording.tapes and step is not None and step.target is None
        if of_a_step and step is not None and self._losses.outermost:
            weights = arguments[2] if len(arguments) > 2 else named.get("sample_weight")
            targets = arguments[0] if arguments else named.get("y_true")
            step.losses.append(LossCall(loss, weights, targets))
        with self._losses:
            return original(loss, *arguments, **named)


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
