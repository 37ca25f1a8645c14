"""What a model ends in: probabilities or logits."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.tolerances import SUM_TO_ONE

# `tf.nn.softmax` calls itself by its second version.
_PROBABILITIES = {"softmax", "softmax_v2", "sigmoid"}
# Layers whose numbers are anything.
_WEIGHTED = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)
# Layers that leave the numbers as they are.
_PASSING_ON = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Dropout)


def gives_probabilities(
    model: keras.Model, outputs: Iterable[np.ndarray], which: Collection[int] | None = None
) -> bool | None:
    """Whether a model ends in probabilities; None where that cannot be told.

    Its last layer says so where it can be read. Values alone tell that they are none, and that they
    are a distribution over several classes; single logits may lie between 0 and 1 by chance.

    Args:
        model: it may be of any kind.
        outputs: what these gave, [..., numbers] each.
        which: of its outputs count; None for all.
    """
    ends = [
        _ends_in_probabilities(tensor)
        for number, tensor in enumerate(_outputs(model))
        if which is None or number in which
    ]
    if ends and None not in ends:
        return ends[0] if len(set(ends)) == 1 else None
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


def _ends_in_probabilities(tensor: Any) -> bool | None:
    """What is behind a symbolic tensor; None where that is not known: a function of the user's own
    may be anything.
    """
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return None
    operation = history.operation
    if isinstance(operation, keras.Model):
        inner = _outputs(operation)
        return _ends_in_probabilities(inner[history.tensor_index]) if inner else None
    activation = getattr(operation, "activation", None)
    name = str(getattr(activation, "__name__", ""))
    as_it_is = isinstance(operation, keras.layers.Activation) and name == "linear"
    if as_it_is or isinstance(operation, _PASSING_ON):
        return _ends_in_probabilities(operation.input)
    # `Softmax` is a layer, and what `keras.ops.softmax` is in a model.
    if {name, type(operation).__name__.lower()} & _PROBABILITIES:
        return True
    return False if isinstance(operation, _WEIGHTED) and name == "linear" else None
