"""Gives every model that is trained the same weights before its first step."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.seams import suspended
from twintrain.diagnosis.watch.trace import Arrays, state_variables
from twintrain.diagnosis.watch.trained_model import variables_of

# Rows with which a model is built whose batch size is not known.
_ROWS = 2


class SameStart:
    """Hands weights over.

    Args:
        given: has them.
        parts: models may be parts of the one given (an encoder and a decoder, say).
        adopt: hears of the program's own model like the one given.

    """

    def __init__(
        self,
        given: keras.Model,
        parts: bool,
        adopt: Callable[[keras.Model], None] = lambda model: None,
    ) -> None:
        self._adopt = adopt
        self._values: Arrays = [np.array(tf.convert_to_tensor(v)) for v in given.variables]
        self._parts = parts
        self._next = 0
        self._known: list[keras.layers.Layer] = []

    @property
    def handed_over(self) -> bool:
        """Whether all of the weights were given away."""
        return self._next >= len(self._values)

    def start(self, layer: keras.layers.Layer, inputs: Any = None) -> None:
        """Let a model start from the weights given, as a whole, by way of a part of it, or part by
        part; once for each layer.

        Args:
            layer: about to be called in the training; a model is built where it is not.
            inputs: it is about to be called with.
        """
        if self.handed_over or any(layer is known for known in self._known):
            return
        self._known.append(layer)
        with tf.init_scope():
            if isinstance(layer, keras.Model):
                _build(layer, inputs)
                if self._give(layer, self._values):
                    self._next = len(self._values)
                    return
            whole = None if self._next else self._whole_of(layer)
            if whole is not None and self._give(whole, self._values):
                self._adopt(whole)
                self._next = len(self._values)
            elif self._parts and isinstance(layer, keras.Model):
                self._give_part(layer)

    def take(self, model: keras.Model) -> None:
        """Let a model that is known to be the one trained start from the weights given."""
        if not self.handed_over:
            self.start(model)
            if self.handed_over:
                self._adopt(model)

    def _give_part(self, model: keras.Model) -> None:
        """Give a model the next of the weights that fit."""
        count = len(model.variables)
        for start in range(self._next, len(self._values) - count + 1):
            if count and self._give(model, self._values[start : start + count]):
                self._next = start + count
                return

    def _give(self, model: keras.Model, values: Arrays) -> bool:
        """Assign values where they have the shapes of a model's variables; whether they have."""
        shapes = [tuple(variable.shape) for variable in model.variables]
        if not shapes or [value.shape for value in values] != shapes:
            return False
        for variable, value in zip(model.variables, values, strict=True):
            variable.assign(value)
        for state in state_variables(model):
            state.assign(keras.ops.zeros_like(state))
        return True

    def _whole_of(self, part: keras.layers.Layer) -> keras.Model | None:
        """The program's own model like the one given, that another is a part of: it stands in a
        variable where the part is called.
        """
        shapes = [value.shape for value in self._values]
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
                if not isinstance(value, keras.Model) or value is part or not value.built:
                    continue
                same = [tuple(variable.shape) for variable in value.variables] == shapes
                if same and variables_of(value) > variables_of(part):
                    return value
            frame = frame.f_back
        return None


def has_all_weights(model: keras.Model) -> bool:
    """Whether a model has made all of its weights; some make them when they are called first,
    though they say that they are built.
    """
    layers = model._flatten_layers(include_self=False)
    return bool(model.built and model.variables) and all(layer.built for layer in layers)


def _build(model: keras.Model, inputs: Any) -> None:
    """Make the weights of a model that makes them when it is called first."""
    if inputs is None or has_all_weights(model):
        return

    def like(tensor: Any) -> Any:
        shape = [size or _ROWS for size in tf.TensorShape(tensor.shape).as_list()]
        dtype = tf.as_dtype(tensor.dtype)
        return tf.fill(shape, "") if dtype == tf.string else tf.zeros(shape, dtype)

    # No step of the training: under the tape that is open where the program calls its model, this
    # call would be seen as the first half of a forward pass. What fails here fails again there.
    with suspended(), contextlib.suppress(Exception):
        model(keras.tree.map_structure(like, inputs), training=False)
