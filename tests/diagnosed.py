"""Diagnoses in a process of their own, so that what a user's file leaves behind does not reach the
tests.

With noise, every gradient carries rounding that is new in every run, as on a GPU, which adds in no
fixed order unless op determinism is on. `TWINTRAIN_NOISE=1e-6 pytest tests/cases tests/correct`
diagnoses everything so."""

from __future__ import annotations

import os
from multiprocessing import get_context, set_forkserver_preload
from pathlib import Path
from typing import Any

from twintrain.diagnosis.result import Diagnosis

# A fresh process after a few files: what they leave in memory is theirs.
FILES_PER_PROCESS = 8
NOISE = float(os.environ.get("TWINTRAIN_NOISE", "0"))


def add_noise(level: float) -> None:
    """Let every gradient of this process differ by normal noise of that share of its largest
    element.
    """
    import tensorflow as tf

    true = tf.GradientTape.gradient

    def noisy(gradient: Any) -> Any:
        if not isinstance(gradient, tf.Tensor) or not gradient.dtype.is_floating:
            return gradient
        # Seeds of its own, so that no global seed makes two runs alike.
        seeds = {name: int.from_bytes(os.urandom(3), "big") | 1 for name in ("seed", "seed2")}
        noise = tf.raw_ops.RandomStandardNormal(shape=tf.shape(gradient), dtype=tf.float32, **seeds)
        return gradient + tf.cast(level * noise, gradient.dtype) * tf.reduce_max(tf.abs(gradient))

    def gradient(tape: tf.GradientTape, *arguments: Any, **named: Any) -> Any:
        return tf.nest.map_structure(noisy, true(tape, *arguments, **named))

    tf.GradientTape.gradient = gradient


def repeats_itself() -> bool:
    """Whether the same gradient comes out the same twice in this process."""
    import tensorflow as tf

    x, found = tf.Variable(tf.range(1.0, 9.0)), []
    for _ in range(2):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(x * x)
        found.append(tape.gradient(y, x))
    return bool(tf.reduce_all(found[0] == found[1]))


def diagnose_file(path: Path) -> str:
    """A diagnosis as JSON, or the user's traceback in an exception."""
    import warnings

    warnings.simplefilter("ignore")
    from twintrain.diagnosis.diagnose import diagnose_module
    from twintrain.diagnosis.watch.user_module import UserCodeError

    try:
        return diagnose_module(path, deadline=300).model_dump_json()
    except UserCodeError as error:
        raise RuntimeError(error.text) from None


class Diagnoses:
    """One process that diagnoses file after file, replaced now and then."""

    def __init__(self, noise: float = NOISE) -> None:
        # Not ProcessPoolExecutor: on Python 3.11 it hangs when a process reaches its last task.
        start = (add_noise, (noise,)) if noise else (None, ())
        # Forked off a process that has imported TensorFlow, and run nothing with it.
        set_forkserver_preload(["twintrain.diagnosis.diagnose"])
        self._pool = get_context("forkserver").Pool(1, *start, maxtasksperchild=FILES_PER_PROCESS)

    def of(self, path: Path) -> Diagnosis:
        return Diagnosis.model_validate_json(self._pool.apply(diagnose_file, (path,)))

    def repeats_itself(self) -> bool:
        return self._pool.apply(repeats_itself)

    def close(self) -> None:
        self._pool.terminate()
