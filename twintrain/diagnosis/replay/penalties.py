"""The penalties of a model's weights, where the loss of another model may have them: one side
declares regularizers on its layers, the other adds the same to its loss by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from twintrain.diagnosis.watch.weight_order import counted_weights


@dataclass(frozen=True)
class Penalties:
    """Regularizers, by the position of the weight that each is of; none at all, where empty."""

    regularizers: dict[int, Callable[[Any], Any]] = field(default_factory=dict)

    def of(self, weights: Sequence[Any]) -> tf.Tensor:
        """Their sum over weights, one per position (arrays or variables); differentiable."""
        found = [
            tf.cast(regularizer(tf.convert_to_tensor(weights[position])), tf.float32)
            for position, regularizer in self.regularizers.items()
        ]
        return tf.add_n(found) if found else tf.constant(0.0)


def penalties_of(model: keras.Model) -> Penalties:
    """Those that `model.losses` has for its weights."""
    trained = {id(variable) for variable in model.trainable_variables}
    return Penalties(
        {
            position: variable.regularizer
            for position, variable in enumerate(counted_weights(model))
            if id(variable) in trained and getattr(variable, "regularizer", None) is not None
        }
    )


def lent(model: keras.Model, other: keras.Model) -> Penalties:
    """What a model that has no losses of its layers may have taken over from another one."""
    if model.losses or penalties_of(model).regularizers:
        return Penalties()
    same = [v.shape for v in counted_weights(model)] == [v.shape for v in counted_weights(other)]
    return penalties_of(other) if same else Penalties()
