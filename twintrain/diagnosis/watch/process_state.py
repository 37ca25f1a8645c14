"""The state of the process that trainings like to change, and the time they take."""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.recording import Enough


@contextmanager
def as_found() -> Iterator[None]:
    """Put back, in the end, the global state of Python, NumPy, TensorFlow and Keras that trainings
    like to change.

    Meanwhile GPUs multiply float32 as float32. In TF32, with 11 bits, two ways to compute the same
    thing differ by more than many a mistake does.
    """
    from tensorflow.python.eager import context  # the one place where the global seed can be read

    python = random.getstate()
    numpy_state = np.random.get_state()
    policy = keras.config.dtype_policy()
    floatx = keras.config.floatx()
    eager = tf.config.functions_run_eagerly()
    filtering = keras.config.is_traceback_filtering_enabled()
    tensor_float_32 = tf.config.experimental.tensor_float_32_execution_enabled()
    seed = context.global_seed()
    path = list(sys.path)
    keras.config.disable_traceback_filtering()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_floatx(floatx)
        tf.config.run_functions_eagerly(eager)
        tf.config.experimental.enable_tensor_float_32_execution(tensor_float_32)
        if filtering:
            keras.config.enable_traceback_filtering()
        context.set_global_seed(seed)
        sys.path[:] = path
        random.setstate(python)
        np.random.set_state(numpy_state)


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `Enough` in the main thread after so many seconds of its own (`Stopwatch`), also in a
    loop that calls nothing of Keras.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    timer = Timer(seconds)

    def ring(*_: Any) -> None:
        if timer.over:
            raise Enough

    before = signal.signal(signal.SIGALRM, ring)
    # Again every second: it may not be over yet, and raised inside of a __del__ it would be lost.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0, 0)
        signal.signal(signal.SIGALRM, before)
