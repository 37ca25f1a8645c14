"""Gives every model that is trained the same weights before its first step."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.trace import Arrays, state_variables

# Rows with which a model is built whose batch size is not known.
_ROWS = 2


class SameStart:
    """Hands weights over.

    Args:
        given: has them.
        parts: models may be parts of the one given (an encoder and a decoder, say).

    Attributes:
        moved: largest distance of a model's own weights from those given.
        failed: some model's weights do not match those given.
    """

    def __init__(self, given: keras.Model, parts: bool) -> None:
        self._values: Arrays = [np.array(tf.convert_to_tensor(v)) for v in given.variables]
        self._parts = parts
        self._next = 0
        self._known: list[keras.Model] = []
        self.failed = False

    def start(self, model: keras.Model, inputs: Any = None) -> None:
        """Let a model start from the weights given; once for each model.

        Args:
            model: to be trained; it is built where it is not.
            inputs: it is about to be called with.
        """
        if any(model is known for known in self._known) or self._next >= len(self._values):
            return
        self._known.append(model)
        with tf.init_scope():
            _build(model, inputs)
            values = self._matching(model)
            if values is None:
                self.failed = True
                return
            for variable, value in zip(model.variables, values, strict=True):
                variable.assign(value)
            for state in state_variables(model):
                state.assign(keras.ops.zeros_like(state))

    def _matching(self, model: keras.Model) -> Arrays | None:
        """The values for the variables of a model; None where their shapes are others."""
        shapes = [tuple(variable.shape) for variable in model.variables]
        if not shapes:
            return None
        last = len(self._values) - len(shapes) if self._parts else 0
        for start in range(self._next, last + 1):
            found = self._values[start : start + len(shapes)]
            if [value.shape for value in found] == shapes and (
                self._parts or len(found) == len(self._values)
            ):
                self._next = start + len(shapes)
                return found
        return None


def _build(model: keras.Model, inputs: Any) -> None:
    """Make the weights of a model that makes them when it is called first."""
    if inputs is None or (model.built and model.variables):
        return

    def like(tensor: Any) -> Any:
        shape = [size or _ROWS for size in tf.TensorShape(tensor.shape).as_list()]
        dtype = tf.as_dtype(tensor.dtype)
        return tf.fill(shape, "") if dtype == tf.string else tf.zeros(shape, dtype)

    with contextlib.suppress(Exception):  # it fails again where its own code calls it
        model(keras.tree.map_structure(like, inputs), training=False)
