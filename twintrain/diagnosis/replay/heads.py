"""What a model ends in: probabilities or logits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.tolerances import SUM_TO_ONE

_PROBABILITIES = ("softmax", "sigmoid")
# Layers that leave the numbers as they are.
_PASSING_ON = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Dropout)


def gives_probabilities(model: keras.Model, outputs: Iterable[np.ndarray]) -> bool | None:
    """Whether a model ends in probabilities; None where that cannot be told.

    Its last layer says so where it can be read. Values alone tell that they are none, and that they
    are a distribution over several classes; single logits may lie between 0 and 1 by chance.

    Args:
        model: it may be of any kind.
        outputs: what it gave, [..., numbers] each.
    """
    ends = [_activation(tensor) for tensor in _outputs(model)]
    if ends and None not in ends:
        probable = [end in _PROBABILITIES for end in ends]
        return probable[0] if len(set(probable)) == 1 else None
    found = [p for p in outputs if p.ndim and p.size]
    if any(not (p >= 0).all() or not (p <= 1).all() for p in found):
        return False
    wide = bool(found) and all(p.shape[-1] > 1 for p in found)
    if wide and all(each_close(p.sum(-1), 1, SUM_TO_ONE) for p in found):
        return True
    return None


def _outputs(model: Any) -> list[Any]:
    """The symbolic outputs; none of a subclassed model."""
    try:
        return keras.tree.flatten(model.outputs)
    except Exception:  # a model that is not built, or whatever a class of the user's own raises
        return []


def _activation(tensor: Any) -> str | None:
    """The activation behind a symbolic tensor; None where it is not known."""
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return None
    operation = history.operation
    if isinstance(operation, keras.Model):
        inner = _outputs(operation)
        return _activation(inner[history.tensor_index]) if inner else None
    if isinstance(operation, _PASSING_ON):
        return _activation(operation.input)
    # `Softmax` is a layer, and what `keras.ops.softmax` is in a model.
    named = type(operation).__name__.lower()
    if named in _PROBABILITIES:
        return named
    activation = getattr(operation, "activation", None)
    name = getattr(activation, "__name__", None)
    return str(name) if isinstance(operation, keras.Layer) and name is not None else None
