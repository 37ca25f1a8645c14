"""Arrays in memory as examples: the shortest way from a notebook's data to a comparison."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twintrain.data.example_store import ExampleStore, build_store
from twintrain.errors import TwintrainError

_NO_LIMIT = 1 << 62


def examples(inputs: npt.ArrayLike, targets: npt.ArrayLike, name: str = "example") -> ExampleStore:
    """Examples from arrays, in their order.

    Args:
        inputs: [n, *shape], as the model is to see them before `training.input_scale` (images:
            float32 from 0 to 1, [n, height, width, channels]).
        targets: [n] class numbers, or whatever else the problem predicts.
        name: begins the id of each example, 'example-00000000' and so on.

    Raises:
        TwintrainError: there are no examples, or not as many targets as inputs.
    """
    values, aims = np.asarray(inputs), np.asarray(targets)
    if values.dtype == np.float64:
        values = values.astype(np.float32)
    if np.issubdtype(aims.dtype, np.integer):
        aims = aims.astype(np.int64)
    if values.ndim < 1 or aims.ndim < 1 or len(values) != len(aims):
        raise TwintrainError(
            f"There are inputs of shape {values.shape} and targets of shape {aims.shape}.",
            "One target belongs to one example: both need the same first dimension.",
        )
    ids = np.array([f"{name}-{position:08d}" for position in range(len(values))], np.bytes_)
    return build_store([(values, aims, ids)] if len(values) else [], _NO_LIMIT)
