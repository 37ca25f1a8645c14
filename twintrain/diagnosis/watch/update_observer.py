"""Sees what tapes differentiate, the gradients they give, and what optimizers make of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.places import user_spot
from twintrain.diagnosis.watch.recording import Recording, positions_of
from twintrain.diagnosis.watch.seams import Nesting, Seam, family, identity, is_concrete
from twintrain.diagnosis.watch.trace import Applied, Step, gradient_array, snapshot, value_of


class UpdateObserver:
    """Observer of gradient tapes and optimizers."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._optimizers = Nesting()
        # What was differentiated in the last step: the same loss may be, for several variables.
        self._targets: list[Any] = []

    def seams(self) -> list[Seam]:
        """The methods it looks at."""
        found: list[Seam] = [
            (tf.GradientTape, "__enter__", self._open_tape),
            (tf.GradientTape, "__exit__", self._close_tape),
            (tf.GradientTape, "gradient", self._gradient),
        ]
        for owner in family(keras.optimizers.Optimizer):
            found += [
                (owner, "apply", self._apply),
                (owner, "scale_loss", self._scale),
                (owner, "finalize_variable_values", self._finalize),
            ]
        return found

    def _open_tape(self, original: Callable[..., Any], tape: Any) -> Any:
        self._recording.tapes += 1
        return original(tape)

    def _close_tape(self, original: Callable[..., Any], tape: Any, *arguments: Any) -> Any:
        self._recording.close_tape()
        return original(tape, *arguments)

    def _gradient(
        self, original: Callable[..., Any], tape: Any, target: Any, sources: Any, **named: Any
    ) -> Any:
        gradients = original(tape, target, sources, **named)
        if tf.executing_eagerly():
            self._note_gradients(target, tf.nest.flatten(sources), gradients)
        return gradients

    def _note_gradients(self, target: Any, sources: list[Any], gradients: Any) -> None:
        """Add what a tape was asked for to the step whose forward pass it saw."""
        step = self._recording.trained_by([identity(source) for source in sources])
        if step is None:
            return  # by the inputs, say, for a penalty
        step.note("gradient", user_spot())
        found = [
            gradient_array(gradient) for gradient in _flatten_gradients(gradients, len(sources))
        ]
        known = positions_of(step.model)
        positions = [known.get(identity(source), -1) for source in sources]
        if step.target is None:
            self._targets = []
        elif step.applied is not None and not set(positions).isdisjoint(step.sources):
            return  # of the weights after the update
        parts = [part for part in tf.nest.flatten(target) if not self._is_known(part)]
        self._targets += parts
        value = float(sum(_sum_of(part) for part in parts)) / (step.scale or 1.0)
        step.target = (step.target or 0.0) + value
        for position, gradient in zip(positions, found, strict=False):
            _add_gradient(step, position, gradient, bool(parts))

    def _is_known(self, target: Any) -> bool:
        """Whether a loss was differentiated in this step before."""
        return any(target is other for other in self._targets)

    def _scale(self, original: Callable[..., Any], optimizer: Any, loss: Any) -> Any:
        with self._optimizers:
            scaled = original(optimizer, loss)
        if self._optimizers.outermost and is_concrete(loss):
            value = _sum_of(loss)
            for step in self._recording.under_way:
                step.scale = _sum_of(scaled) / value if value else 1.0
        return scaled

    def _apply(
        self,
        original: Callable[..., Any],
        optimizer: Any,
        grads: Any,
        trainable_variables: Any = None,
    ) -> Any:
        grads = list(grads)
        variables = None if trainable_variables is None else list(trainable_variables)
        step = self._recording.step
        seen = step if self._optimizers.outermost and tf.executing_eagerly() else None
        if seen is not None:
            seen.applied = _joined(seen, _applied(seen, optimizer, grads, variables))
            seen.note("update", user_spot())
        with self._optimizers:
            done = original(optimizer, grads, variables)
        if seen is not None and seen.applied is not None:
            seen.applied.after = snapshot(seen.model)
            seen.after = None  # something was called between gradient and update
            if seen.applied.optimizer is optimizer:
                # At once: what is done to the optimizer before the next step is not the update's.
                seen.optimizer_after = [value_of(v) for v in optimizer.variables]
            self._forget_previous()
        return done

    def _forget_previous(self) -> None:
        """Only the last state right after an update is asked for."""
        steps = self._recording.trace.steps
        if len(steps) > 1 and (previous := steps[-2].applied) is not None:
            previous.after = []

    def _finalize(self, original: Callable[..., Any], optimizer: Any, variables: Any) -> Any:
        self._recording.finish_step()  # averaging the weights is no part of the last step
        return original(optimizer, variables)


def _add_gradient(
    step: Step, position: int, gradient: np.ndarray | None, another_loss: bool
) -> None:
    """Add the gradient of one variable; of a loss in parts, each differentiated by itself, the
    parts add up.
    """
    if position < 0 or position not in step.sources:
        step.sources.append(position)
        step.gradients.append(gradient)
    elif another_loss:
        index = step.sources.index(position)
        step.gradients[index] = _added(step.gradients[index], gradient)


def _joined(step: Step, update: Applied) -> Applied | None:
    """What a step's updates are together with one more; an update of variables that were updated
    before is not part of the step.
    """
    first = step.applied
    ours = [position for position in update.variables if position >= 0]
    if not ours:
        return first  # of another model
    if first is None:
        return update
    if not set(ours).isdisjoint(first.variables):
        return first
    # By their variables: the order of the calls of different optimizers says nothing.
    parts = sorted(
        [*(first.parts or [first]), update], key=lambda part: max(min(part.variables), 0)
    )
    pairs = [pair for part in parts for pair in zip(part.variables, part.gradients, strict=False)]
    # In the order of the gradients of the step.
    place = {position: index for index, position in enumerate(step.sources)}
    pairs.sort(key=lambda pair: place.get(pair[0], len(place)))
    gradients = [gradient for _, gradient in pairs]
    return replace(parts[0], gradients=gradients, variables=[p for p, _ in pairs], parts=parts)


def _first_variable(update: Applied) -> int:
    return min(position for position in update.variables if position >= 0)


def _applied(
    step: Step, optimizer: Any, gradients: list[Any], variables: list[Any] | None
) -> Applied:
    """What an optimizer is given, and the state it has, before it updates."""
    if not optimizer.built:
        optimizer.build(variables or step.model.trainable_variables)
    positions = positions_of(step.model)
    known = step.model.trainable_variables if variables is None else variables
    kept = optimizer.variables if step.before is not None else []
    return Applied(
        optimizer=optimizer,
        learning_rate=float(value_of(optimizer.learning_rate)),
        gradients=[gradient_array(gradient) for gradient in gradients],
        variables=[positions.get(identity(variable), -1) for variable in known],
        state=[value_of(variable) for variable in kept],
        iterations=int(value_of(optimizer.iterations)),
    )


def _sum_of(value: Any) -> float:
    return float(tf.reduce_sum(tf.cast(tf.convert_to_tensor(value), tf.float32)))


def _added(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    if a is None:
        return b
    return a if b is None else a + b


def _flatten_gradients(gradients: Any, count: int) -> list[Any]:
    # Not tf.nest: it would take an IndexedSlices (the gradient of an embedding) apart.
    if isinstance(gradients, dict):
        return list(gradients.values())
    return list(gradients) if isinstance(gradients, (list, tuple)) else [gradients] * min(count, 1)
