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

from twintrain.diagnosis.scripts.layer_matching import made_up_like, order_like
from twintrain.diagnosis.watch.seams import suspended
from twintrain.diagnosis.watch.trace import Arrays, state_variables
from twintrain.diagnosis.watch.trained_model import variables_of
from twintrain.diagnosis.watch.weight_order import count_in_order, counted_weights


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
        self._adopt, self._given = adopt, given
        self._values: Arrays = [np.array(tf.convert_to_tensor(v)) for v in counted_weights(given)]
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
                if self._give_all(layer, inputs):
                    return
            whole = None if self._next else self._whole_of(layer)
            if whole is not None and self._give_all(whole, None):
                self._adopt(whole)
            elif self._parts and isinstance(layer, keras.Model):
                self._give_part(layer)

    def take(self, model: keras.Model) -> None:
        """Let a model that is known to be the one trained start from the weights given."""
        if not self.handed_over:
            self.start(model)
            if self.handed_over:
                self._adopt(model)
            else:  # what it is called with may tell
                self._known = [layer for layer in self._known if layer is not model]

    def _give_all(self, model: keras.Model, inputs: Any) -> bool:
        """Give a model all of the weights; whether it has the same layers."""
        order = order_like(self._given, model, inputs)
        if order is None:
            return False
        count_in_order(model, order)
        self._assign(model, self._values)
        self._next = len(self._values)
        return True

    def _give_part(self, model: keras.Model) -> None:
        """Give a model the next of the weights that fit."""
        count = len(model.variables)
        for start in range(self._next, len(self._values) - count + 1):
            values = self._values[start : start + count]
            shapes = [tuple(variable.shape) for variable in model.variables]
            if shapes and [value.shape for value in values] == shapes:
                self._assign(model, values)
                self._next = start + count
                return

    @staticmethod
    def _assign(model: keras.Model, values: Arrays) -> None:
        for variable, value in zip(counted_weights(model), values, strict=True):
            variable.assign(value)
        for state in state_variables(model):
            state.assign(keras.ops.zeros_like(state))

    def _whole_of(self, part: keras.layers.Layer) -> keras.Model | None:
        """The program's own model like the one given, that another is a part of: it stands in a
        variable where the part is called.
        """
        shapes = sorted(value.shape for value in self._values)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
                if not isinstance(value, keras.Model) or value is part or not value.built:
                    continue
                same = sorted(tuple(variable.shape) for variable in value.variables) == shapes
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
    # No step of the training: under the tape that is open where the program calls its model, this
    # call would be seen as the first half of a forward pass. What fails here fails again there.
    with suspended(), contextlib.suppress(Exception):
        model(made_up_like(inputs), training=False)
