"""Functions run as Python get what a graph would."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.eager_functions import functions_as_python

SEEN: list[Any] = []


@tf.function
def noting(x: Any, *, named: Any = None) -> Any:
    if tf.executing_eagerly():
        SEEN.append((x, named))
    return x


def test_arrays_come_as_tensors_and_the_rest_as_it_is() -> None:
    SEEN.clear()
    text = np.array(["a"])
    with functions_as_python():
        noting((np.ones(2, np.float32), 3), named={"rate": np.float64(0.5), "text": text})
    ((array, number), named), *more = SEEN
    assert not more
    assert tf.is_tensor(array)
    assert array.dtype == tf.float32
    assert number == 3
    assert tf.is_tensor(named["rate"])
    assert named["rate"].dtype == tf.float64
    assert named["text"] is text


def test_what_was_set_before_is_set_again() -> None:
    SEEN.clear()
    with functions_as_python():
        assert tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(False)
        noting(np.ones(2))  # as a graph, for a while
    assert not tf.config.functions_run_eagerly()
    noting(np.ones(2))
    assert SEEN == []


@tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
def declared(x: Any) -> Any:
    if tf.executing_eagerly():
        SEEN.append(x)
    return x


def test_arrays_are_of_the_type_that_was_declared() -> None:
    SEEN.clear()
    with functions_as_python():
        declared(np.ones(2))
    assert SEEN[0].dtype == tf.float32
