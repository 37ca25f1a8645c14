"""Runs what `tf.function` decorates as plain Python, with tensors where a graph gets tensors of
NumPy's arrays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.seams import wrapped


@contextmanager
def functions_as_python() -> Iterator[None]:
    """Let functions run eagerly within this context.

    A graph is handed NumPy arrays as tensors; `tf.config.run_functions_eagerly` alone hands them on
    as they are, to code that may ask a tensor for more than an array has.
    """
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        with wrapped(_kind_of_functions(), "__call__", _called, always=True):
            yield
    finally:
        tf.config.run_functions_eagerly(eager)


def _kind_of_functions() -> type:
    """The class of what `tf.function` makes."""
    from tensorflow.python.eager.polymorphic_function import polymorphic_function

    found: type = polymorphic_function.Function
    return found


def _called(original: Callable[..., Any], function: Any, *arguments: Any, **named: Any) -> Any:
    if not tf.config.functions_run_eagerly():
        return original(function, *arguments, **named)
    # As they are, where they are of a structure that TensorFlow does not look into either.
    with contextlib.suppress(TypeError, ValueError):
        arguments, named = _handed(function, arguments, named)
    return original(function, *arguments, **named)


def _handed(function: Any, arguments: Any, named: Any) -> tuple[Any, Any]:
    signature = getattr(function, "input_signature", None)
    declared = tf.nest.flatten(signature) if signature else []
    flat = tf.nest.flatten(arguments)
    if len(declared) != len(flat):
        declared = [None] * len(flat)
    handed = [_as_handed(value, spec) for value, spec in zip(flat, declared, strict=True)]
    return tf.nest.pack_sequence_as(arguments, handed), tf.nest.map_structure(_as_handed, named)


def _as_handed(value: Any, spec: Any = None) -> Any:
    """A number or an array of them as a tensor, of the type that was declared for it; strings of
    NumPy's are handed on as they are by TensorFlow too.
    """
    number = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc"
    return tf.convert_to_tensor(value, getattr(spec, "dtype", None)) if number else value
