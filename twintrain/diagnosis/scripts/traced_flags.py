"""Layers that were frozen or set free since a model was compiled: Keras goes on with the graph that
it has traced, and so must the same code where it is run op by op.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.seams import owner_of, wrapped

# Per layer, its own flag and those of its own weights.
Flags = list[tuple[keras.layers.Layer, bool, list[bool]]]


class TracedFlags:
    """Which layers trained when Keras made a model's training function and traced it for data of
    some form: in its first `fit` or `train_on_batch` since it was compiled.
    """

    def __init__(self) -> None:
        self._then: weakref.WeakKeyDictionary[keras.Model, tuple[Any, dict[str, Flags]]]
        self._then = weakref.WeakKeyDictionary()
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
        # `fit` may call `train_on_batch`; eager training looks at the flags in every step.
        if self._training or model.run_eagerly:
            return original(model, *arguments, **named)
        now, form = _flags_of(model), _form_of(arguments, named)
        traced, known = self._then.get(model, (None, {}))
        if traced is None or model.train_function is not traced:
            known = {}
        then = known.setdefault(form, now)
        self._training = True
        try:
            with _as_they_were(then):
                return original(model, *arguments, **named)
        finally:
            self._training = False
            self._then[model] = (model.train_function, known)


@contextmanager
def _as_they_were(then: Flags) -> Iterator[None]:
    now = [_own_flags(layer) for layer, *_ in then]
    changed = [(one, other) for one, other in zip(then, now, strict=True) if one != other]
    for one, _ in changed:
        _set(*one)
    try:
        yield
    finally:
        for one, other in changed:
            if _own_flags(one[0]) == one:  # nobody has changed it meanwhile
                _set(*other)


def _flags_of(model: keras.Model) -> Flags:
    return [_own_flags(layer) for layer in model._flatten_layers()]


def _own_flags(layer: keras.layers.Layer) -> tuple[keras.layers.Layer, bool, list[bool]]:
    return layer, layer._trainable, [weight.trainable for weight in layer._trainable_variables]


def _set(layer: keras.layers.Layer, flag: bool, own: list[bool]) -> None:
    # Keras's own setter would set all layers within, too.
    layer._trainable = flag
    for weight, trains in zip(layer._trainable_variables, own, strict=False):
        weight.trainable = trains


def _form_of(arguments: tuple[Any, ...], named: dict[str, Any]) -> str:
    """What decides whether TensorFlow traces anew: types and shapes of the data, without its rows,
    which a batch dimension of its own stands for.
    """
    data = [*arguments[:3], *(named.get(name) for name in ("x", "y", "sample_weight"))]
    return str([keras.tree.map_structure(_form, part) for part in data if part is not None])


def _form(part: Any) -> Any:
    if isinstance(part, tf.data.Dataset):
        return part.element_spec
    if isinstance(part, (np.ndarray, tf.Tensor)):
        return part.dtype, tuple(part.shape[1:])
    return type(part).__name__
