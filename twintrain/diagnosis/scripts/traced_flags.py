"""Layers that were frozen or set free since a model was compiled: Keras goes on with the graph that
it has traced, and so must the same code where it is run op by op.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from twintrain.diagnosis.watch.seams import owner_of, wrapped

Flags = list[tuple[keras.layers.Layer, bool]]


class TracedFlags:
    """Which layers trained when Keras made a model's training function, from its first `fit` or
    `train_on_batch` until it is compiled anew.
    """

    def __init__(self) -> None:
        self._then: weakref.WeakKeyDictionary[keras.Model, Flags] = weakref.WeakKeyDictionary()
        self._training = False

    @contextmanager
    def on(self) -> Iterator[None]:
        """Within this context, models train as they were traced."""
        with ExitStack() as stack:
            for method in ("fit", "train_on_batch"):
                owner = owner_of(keras.Model, method)
                stack.enter_context(wrapped(owner, method, self._train, always=True))
            yield

    def _train(
        self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any
    ) -> Any:
        if self._training:  # `fit` may call `train_on_batch`
            return original(model, *arguments, **named)
        now = _flags_of(model)
        traced = getattr(model, "train_function", None) is not None
        then = self._then.get(model, []) if traced else []
        if not traced:
            self._then[model] = now
        self._training = True
        try:
            with _as_they_were(then, now):
                return original(model, *arguments, **named)
        finally:
            self._training = False


@contextmanager
def _as_they_were(then: Flags, now: Flags) -> Iterator[None]:
    known = {id(layer): flag for layer, flag in now}
    if all(known.get(id(layer), flag) == flag for layer, flag in then):
        yield
        return
    _set(then)
    try:
        yield
    finally:
        _set(now)


def _flags_of(model: keras.Model) -> Flags:
    """Of a model and all layers in it, those around others first: setting a layer's flag sets those
    of the layers in it.
    """
    return [(layer, layer.trainable) for layer in model._flatten_layers()]


def _set(flags: Flags) -> None:
    for layer, flag in flags:
        layer.trainable = flag
