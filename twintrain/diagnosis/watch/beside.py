"""What stands beside the inputs of a model in the user's own variables: among it the targets, also
where no Keras loss and no data set hands them over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.places import user_variables
from twintrain.diagnosis.watch.seams import is_concrete
from twintrain.diagnosis.watch.shared_arrays import shared

# Values of an array that is kept, and of a row of it: targets are narrow.
_MOST_VALUES, _WIDEST = 2048, 32


def arrays_beside(rows: int) -> dict[str, np.ndarray]:
    """The variables of the user's functions that are numbers with a row per input, copied.

    Args:
        rows: inputs of the step.
    """
    found: dict[str, np.ndarray] = {}
    for name, value in user_variables():
        if name not in found and _may_be(value, rows):
            found[name] = shared(np.array(value))
    return found


def _may_be(value: Any, rows: int) -> bool:
    if not isinstance(value, (np.ndarray, tf.Tensor)) or not is_concrete(value):
        return False
    shape, kind = tuple(value.shape), np.dtype(_dtype(value)).kind
    if not shape or shape[0] != rows or kind not in "biuf":
        return False
    return bool(np.prod(shape) <= min(_MOST_VALUES, _WIDEST * rows))


def _dtype(value: Any) -> Any:
    return value.dtype.as_numpy_dtype if isinstance(value, tf.Tensor) else value.dtype
