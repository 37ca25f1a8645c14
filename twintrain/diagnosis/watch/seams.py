"""Lets something look on while a method of Keras or TensorFlow runs, and puts the method back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

# Class, name of one of its methods, and what stands for that method: `seam(original, *arguments)`.
Seam = tuple[type, str, Callable[..., Any]]


class WatchError(BaseException):
    """Watching itself failed, through no fault of the code under watch; not an `Exception`, so that
    nobody catches it.
    """


class Nesting:
    """How deep calls of one kind stand in each other: a layer calls layers, a metric a metric.

    A context; `outermost` is read before it is entered.
    """

    def __init__(self) -> None:
        self._depth = 0

    @property
    def outermost(self) -> bool:
        """Whether no such call is under way."""
        return self._depth == 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


class _Suspension:
    """Whether seams look away just now."""

    depth = 0


@contextmanager
def suspended() -> Iterator[None]:
    """Let all seams look away within this context: methods are what they were."""
    _Suspension.depth += 1
    try:
        yield
    finally:
        _Suspension.depth -= 1


@contextmanager
def wrapped(
    owner: type, method: str, seam: Callable[..., Any], always: bool = False
) -> Iterator[None]:
    """Let `seam(original, *arguments)` stand for a method of a class, until the context ends; while
    seams are `suspended`, only if it is to stand there `always`.

    What `original` raises passes through. What the seam itself raises becomes a `WatchError`, lest
    it be taken for a failure of the code under watch.
    """
    original = owner.__dict__[method]

    @functools.wraps(original)
    def called(*arguments: Any, **named: Any) -> Any:
        try:
            return original(*arguments, **named)
        except Exception as error:
            error.__dict__["of_the_original"] = True
            raise

    @functools.wraps(original)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        if _Suspension.depth and not always:
            return original(*arguments, **named)
        try:
            return seam(called, *arguments, **named)
        except Exception as error:
            if "of_the_original" in error.__dict__ or not accepts(original, arguments, named):
                raise
            raise WatchError(
                f"Twintrain failed to watch {owner.__name__}.{method}: {error!r}"
            ) from error

    setattr(owner, method, wrapper)
    try:
        yield
    finally:
        setattr(owner, method, original)


def accepts(
    function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> bool:
    """Whether a function can be called with these arguments."""
    try:
        inspect.signature(function).bind(*arguments, **named)
    except TypeError:
        return False
    return True


def owner_of(kind: type, method: str) -> type:
    """The class that defines a method `kind` has."""
    return next(base for base in kind.__mro__ if method in base.__dict__)


def family(kind: type) -> list[type]:
    """A class, its bases below `object`, and all its subclasses."""
    found: dict[type, None] = {
        base: None for base in kind.__mro__ if base.__module__.startswith("keras")
    }
    queue = [kind]
    while queue:
        below: list[type] = queue.pop().__subclasses__()
        found |= dict.fromkeys(below)
        queue += below
    return list(found)


def dataset_iterator() -> type:
    """The class every `iter(dataset)` gives."""
    from tensorflow.python.data.ops.iterator_ops import OwnedIterator

    found: type = OwnedIterator
    return found


def variable_kinds() -> list[type]:
    """The classes of variables that can be assigned to."""
    from tensorflow.python.ops import resource_variable_ops as ops

    return [ops.BaseResourceVariable, ops.ResourceVariable]


def datasets_behind(dataset: tf.data.Dataset) -> Iterator[tf.data.Dataset]:
    """A data set, and all it is made of, the nearest first; each once."""
    queue, seen = [dataset], set()
    while queue:
        one = queue.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            queue += one._inputs()


def is_concrete(value: Any) -> bool:
    """Whether a value is there to be read, and not a symbol in a graph."""
    if isinstance(value, (np.ndarray, np.generic, float, int)):
        return True
    return bool(tf.is_tensor(value)) and hasattr(value, "numpy")


def identity(variable: Any) -> int:
    """What a Keras variable and the TensorFlow variable inside of it have in common."""
    return id(getattr(variable, "_value", variable))
