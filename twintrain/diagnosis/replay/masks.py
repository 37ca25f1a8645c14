"""Lets layers compute as if nothing were masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from twintrain.diagnosis.watch.seams import wrapped


@contextmanager
def without_masks() -> Iterator[None]:
    """Layers get no mask within this context: neither one that hangs on a tensor, nor one that they
    are handed, as the layers of a functional model are by its graph.
    """
    from keras.src import backend  # where every layer looks for the mask of a tensor

    original = backend.get_keras_mask
    backend.get_keras_mask = lambda tensor: None
    try:
        with wrapped(keras.layers.Layer, "__call__", _unmasked_call):
            yield
    finally:
        backend.get_keras_mask = original


def _unmasked_call(original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    kept = {name: None if _is_mask(name) else value for name, value in named.items()}
    return original(*arguments, **kept)


def _is_mask(name: str) -> bool:
    """Whether Keras fills in this argument of `call` from the masks of its inputs. Not
    `attention_mask`, which says what may look at what.
    """
    return name == "mask" or (name.endswith("_mask") and name != "attention_mask")
