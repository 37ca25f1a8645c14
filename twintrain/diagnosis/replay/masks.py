"""Lets layers compute as if nothing were masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from twintrain.diagnosis.watch.seams import wrapped


@contextmanager
def without_masks() -> Iterator[None]:
    """Layers get no mask within this context: neither one that hangs on a tensor, nor one that they
    are handed, as the layers of a functional model are by its graph.
    """
    with ExitStack() as stack:
        stack.enter_context(wrapped(keras.layers.Layer, "__call__", _unmasked_call))
        stack.enter_context(wrapped(keras.layers.Layer, "_set_mask_metadata", _nothing))
        yield


def _unmasked_call(original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    kept = {name: None if _is_mask(name) else value for name, value in named.items()}
    return original(*arguments, **kept)


def _is_mask(name: str) -> bool:
    """Whether Keras fills in this argument of `call` from the masks of its inputs. Not
    `attention_mask`, which says what may look at what.
    """
    return name == "mask" or (name.endswith("_mask") and name != "attention_mask")


def _nothing(original: Callable[..., Any], *arguments: Any) -> None:
    """No mask is hung on the outputs."""
