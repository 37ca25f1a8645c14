"""Holds still what draws at random: nothing is shuffled, and every draw of TensorFlow or Keras
gives the same numbers again.

Two trainings that shuffle in different orders, or a graph and the same code as plain Python, whose
streams of random numbers differ, can then be compared number by number. What is left alone are
NumPy's and Python's other draws: a graph keeps the first of them, which is a mistake to be seen.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# What every draw of TensorFlow is seeded with.
_SEED = (20, 21)


class _Waiting:
    """Whether the training is still to begin: what is drawn till then makes the data, and stays."""

    is_on: Callable[[], bool] = staticmethod(lambda: False)


def _waits() -> bool:
    """Data sets draw in graphs, which are made before the training begins and run while it does."""
    return _Waiting.is_on() and tf.executing_eagerly()


class StillGenerator(np.random.Generator):
    """A NumPy generator that leaves the order of things alone."""

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """The same order."""
        return super().permutation(x, axis) if _waits() else _in_order(x)

    def permuted(self, x: Any, *, axis: int | None = None, out: Any = None) -> Any:
        """The same order."""
        return super().permuted(x, axis=axis, out=out) if _waits() else np.array(x)

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Leave the order."""
        if _waits():
            super().shuffle(x, axis)

    def choice(  # type: ignore[override]
        self, a: Any, size: Any = None, replace: bool = True, **named: Any
    ) -> Any:
        """The same order where all are drawn once."""
        whole = not replace and size == len(_in_order(a)) and not _waits()
        return _in_order(a) if whole else super().choice(a, size, replace, **named)


class StillRandomState(np.random.RandomState):
    """The same for NumPy's older generator."""

    def permutation(self, x: Any) -> Any:
        """The same order."""
        return super().permutation(x) if _waits() else _in_order(x)

    def shuffle(self, x: Any) -> None:
        """Leave the order."""
        if _waits():
            super().shuffle(x)

    def choice(self, a: Any, size: Any = None, replace: bool = True, p: Any = None) -> Any:
        """The same order where all are drawn once."""
        whole = not replace and size == len(_in_order(a)) and not _waits()
        return _in_order(a) if whole else super().choice(a, size, replace, p)


def _in_order(x: Any) -> Any:
    return np.arange(x) if isinstance(x, (int, np.integer)) else np.array(x)


def _still_generator(seed: Any = None) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return StillGenerator(seed.bit_generator)
    if isinstance(seed, np.random.BitGenerator):
        return StillGenerator(seed)
    return StillGenerator(np.random.PCG64(seed))


@contextmanager
def still(namespace: dict[str, Any], waiting: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold random numbers still within this context.

    Args:
        namespace: the globals of the user's module: what it imported by name, and generators it
            made, are replaced there too.
        waiting: whether the training is still to begin; till then only data sets are held still.
    """
    replacements = list(_replacements())
    by_id = {id(getattr(owner, name)): new for owner, name, new in replacements}
    with ExitStack() as stack:
        stack.callback(setattr, _Waiting, "is_on", _Waiting.is_on)
        _Waiting.is_on = staticmethod(waiting)
        for owner, name, new in replacements:
            stack.enter_context(_replaced(owner, name, new))
        for name, value in list(namespace.items()):
            found = _still_value(value, by_id)
            if found is not None:
                stack.callback(namespace.__setitem__, name, value)
                namespace[name] = found
        yield


def _still_value(value: Any, by_id: dict[int, Any]) -> Any:
    """What stands for a global of the user's; None where it may stay."""
    if id(value) in by_id:
        return by_id[id(value)]
    return _still_generator(value) if type(value) is np.random.Generator else None


def _replacements() -> Iterator[tuple[Any, str, Any]]:
    """Owner, name of what it has, and what stands for it."""
    from tensorflow.python.ops import random_ops  # what tf.image and tf.nn draw from

    replacements: list[tuple[Any, str, Callable[..., Any]]] = [
        (tf.data.Dataset, "shuffle", _keep),
        (tf.random, "shuffle", _keep),
        (random_ops, "random_shuffle", _keep),
        (keras.random, "shuffle", _keep),
        (tf.random.experimental, "stateless_shuffle", _keep),
        (tf.random.experimental, "index_shuffle", lambda index, *_, **__: index),
        (random, "shuffle", lambda *_, **__: None),
        (random.Random, "shuffle", lambda *_, **__: None),
        (np.random, "permutation", lambda x: _in_order(x)),
        (np.random, "shuffle", lambda x: None),
        (np.random, "default_rng", _still_generator),
        (np.random, "RandomState", StillRandomState),
    ]
    yield from replacements
    for owner in (tf.random, random_ops):
        prefix = "" if owner is tf.random else "random_"
        yield owner, f"{prefix}normal", _normal_by(tf.random.stateless_normal)
        yield owner, f"{prefix}uniform", _uniform
        yield owner, "truncated_normal", _normal_by(tf.random.stateless_truncated_normal)
    yield tf.random, "categorical", _categorical
    yield keras.random.SeedGenerator, "next", _same_seed


def _keep(value: Any, *_: Any, **__: Any) -> Any:
    return value


@contextmanager
def _replaced(owner: Any, name: str, new: Callable[..., Any]) -> Iterator[None]:
    original = owner.__dict__[name] if name in vars(owner) else getattr(owner, name)
    # A generator that is made beforehand may be asked for an order once the training has begun.
    always = isinstance(new, type) or new is _still_generator or owner is tf.data.Dataset
    setattr(owner, name, new if always else _once_begun(getattr(owner, name), new))
    try:
        yield
    finally:
        with contextlib.suppress(AttributeError):
            setattr(owner, name, original)


def _once_begun(original: Callable[..., Any], new: Callable[..., Any]) -> Callable[..., Any]:
    """What stands for a function from the beginning of the training on."""

    def drawn(*arguments: Any, **named: Any) -> Any:
        return (original if _waits() else new)(*arguments, **named)

    return drawn


def _normal_by(stateless: Callable[..., Any]) -> Callable[..., Any]:
    """What stands for a normal draw: the stateless one, seeded alike each time."""

    def draw(
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = tf.float32,
        seed: Any = None,
        name: str | None = None,
    ) -> Any:
        return stateless(shape, _SEED, mean, stddev, dtype)

    return draw


def _uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = tf.float32,
    seed: Any = None,
    name: str | None = None,
) -> Any:
    if maxval is None and tf.as_dtype(dtype).is_floating:
        maxval = 1
    return tf.random.stateless_uniform(shape, _SEED, minval, maxval, dtype)


def _categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: str | None = None
) -> Any:
    return tf.random.stateless_categorical(logits, num_samples, _SEED, dtype or tf.int64)


def _same_seed(generator: keras.random.SeedGenerator, ordered: bool = True) -> Any:
    """The seed as it stands, its count of draws left out and not moved on."""
    state = generator.state
    return keras.ops.multiply(state.value, keras.ops.cast([1, 0], state.dtype))
