"""Runs what `tf.function` decorates as plain Python, with the arguments that it would get."""

from __future__ import annotations

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


def _called(original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    if not tf.config.functions_run_eagerly():
        return original(*arguments, **named)
    return original(
        *tf.nest.map_structure(_as_handed, arguments), **tf.nest.map_structure(_as_handed, named)
    )


def _as_handed(value: Any) -> Any:
    """NumPy's strings are handed on as they are, by TensorFlow too."""
    number = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc"
    return tf.convert_to_tensor(value) if number else value
