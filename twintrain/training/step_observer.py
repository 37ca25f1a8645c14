"""Sees what a training step does from inside, without a line of the step being changed.

A step, whoever wrote it, goes through a loss and an optimizer. The observer stands at these two: it
notes the targets and predictions the loss is given, the total loss the optimizer scales, and the
gradients it applies. The notes are written by ops of the same graph, so they work inside
`tf.function`, and they change no number.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.errors import TwintrainError
from twintrain.problems.problem import Problem
from twintrain.training.session import Built

SEAMS = ("the loss", "optimizer.scale_loss", "optimizer.apply")


class StepObserver:
    """Notes of one model's training steps.

    Args:
        built: what is trained; its loss and optimizer are watched from now on.
        batch_size: examples in the largest batch.
        problem: says what targets and outputs look like.
    """

    def __init__(self, built: Built, batch_size: int, problem: Problem) -> None:
        self._built = built
        built.optimizer.build(built.model.trainable_variables)
        # Room for a whole batch: XLA does not let a variable change its shape.
        target = problem.spec.target
        self._targets = tf.Variable(tf.zeros([batch_size, *target.shape], target.dtype))
        self._predictions = tf.Variable(tf.zeros([batch_size, *problem.output_shape]))
        self._examples = tf.Variable(0)
        self._loss = tf.Variable(0.0)
        self._gradients = [
            tf.Variable(tf.zeros_like(v.value)) for v in built.model.trainable_variables
        ]
        self._passed: set[str] = set()
        _watch(built.loss, "call", self._see_loss)
        _watch(built.optimizer, "scale_loss", self._see_total)
        _watch(built.optimizer, "apply", self._see_gradients)

    def _see_loss(self, targets: tf.Tensor, predictions: tf.Tensor) -> None:
        self._passed.add("the loss")
        self._examples.assign(tf.shape(targets)[0])
        for note, seen in ((self._targets, targets), (self._predictions, predictions)):
            missing = note.shape[0] - tf.shape(seen)[0]
            room = [[0, missing], *([0, 0] for _ in note.shape[1:])]
            note.assign(tf.pad(tf.cast(seen, note.dtype), room))

    def _see_total(self, loss: tf.Tensor) -> None:
        self._passed.add("optimizer.scale_loss")
        self._loss.assign(tf.cast(loss, tf.float32))

    def _see_gradients(self, gradients: list[tf.Tensor], *_: Any) -> None:
        self._passed.add("optimizer.apply")
        for note, gradient in zip(self._gradients, gradients, strict=True):
            note.assign(tf.cast(gradient, note.dtype))

    def gradient_norms(self) -> dict[str, float]:
        """The 2-norm of each trainable variable's gradient in the step just made, by its path;
        nothing of a step that goes past the optimizer.
        """
        if "optimizer.apply" not in self._passed:
            return {}
        variables = self._built.model.trainable_variables
        return {
            variable.path: float(tf.norm(note))
            for variable, note in zip(variables, self._gradients, strict=True)
        }

    def read(self, metrics: dict[str, float]) -> dict[str, dict[str, np.ndarray]]:
        """Everything about the step just made, per stage and tensor, in the order in which it
        happens.

        Args:
            metrics: the figures after the step.

        Raises:
            TwintrainError: the step goes past a place where it would be seen.
        """
        missed = [seam for seam in SEAMS if seam not in self._passed]
        if missed:
            raise TwintrainError(
                f"A training step does not call {' or '.join(missed)}: it cannot be seen.",
                "Let it compute the loss by the problem's loss object, call optimizer.scale_loss "
                "on the total and apply gradients by the optimizer, as Keras's own step does.",
            )
        model, optimizer = self._built.model, self._built.optimizer
        trainable = model.trainable_variables
        kept = {id(variable) for variable in trainable}
        examples = int(self._examples.numpy())
        return {
            "batch": {"targets": self._targets.numpy()[:examples]},
            "forward output": {"predictions": self._predictions.numpy()[:examples]},
            "loss": {"total": self._loss.numpy()},
            "gradient": {
                v.path: note.numpy() for v, note in zip(trainable, self._gradients, strict=True)
            },
            "update": _values(trainable),
            "optimizer state": _values(optimizer.variables),
            "non-trainable state": _values([v for v in model.variables if id(v) not in kept]),
            # Tensors are compared by position, and each twin has an order of its own for these.
            "metric": {name: np.float32(value) for name, value in sorted(metrics.items())},
        }


def _values(variables: list[keras.Variable]) -> dict[str, np.ndarray]:
    return {variable.path: np.asarray(variable) for variable in variables}


def _watch(thing: Any, method: str, see: Any) -> None:
    """Let `see` have the arguments of every call of `thing.method` before the call happens."""
    original = getattr(thing, method)

    def watched(*arguments: Any, **named: Any) -> Any:
        see(*arguments, **named)
        return original(*arguments, **named)

    # Past the object's own __setattr__: Keras tracks attributes that look like layers or variables.
    object.__setattr__(thing, method, watched)
