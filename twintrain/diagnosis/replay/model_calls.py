"""Calls a model again, with the weights it had at some moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.watch.trace import Arrays, CompleteStep, value_of


def forward(step: CompleteStep, training: bool | None) -> Any:
    """The model's outputs from the weights before a step; the model is left as it was."""
    with weights_of(step.model, step.before):
        return call_model(step.model, step.inputs, training)


def call_model(model: keras.Model, inputs: Any, training: bool | None) -> Any:
    """Call a model with a flag, also one whose `call` takes none."""
    try:
        return model(inputs, training=training)
    except TypeError:
        return model(inputs)


@contextmanager
def weights_of(model: keras.Model, weights: Arrays) -> Iterator[None]:
    """Put weights in for a while, one per `model.variables`."""
    before = [value_of(variable) for variable in model.variables]
    _assign(model, weights)
    try:
        yield
    finally:
        _assign(model, before)


def _assign(model: keras.Model, weights: Arrays) -> None:
    for variable, value in zip(model.variables, weights, strict=True):
        variable.assign(value)


def compute_dtype(model: keras.Model) -> str:
    """The type a model computes in."""
    return str(model.dtype_policy.compute_dtype)


def outputs_of(nest: Any) -> Arrays:
    """The outputs of a model, one after the other, as float32."""
    return [np.asarray(keras.ops.cast(t, "float32")) for t in keras.tree.flatten(nest)]
