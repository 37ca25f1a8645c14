"""Compares arrays, and lists of them, to float tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.tolerances import FORWARD, Tolerance
from twintrain.diagnosis.watch.trace import Arrays
from twintrain.diagnosis.watch.weight_order import counted_weights


def largest(a: Arrays, b: Arrays) -> float | None:
    """Largest absolute difference of two lists of arrays; None when their shapes differ, infinite
    with NaN.
    """
    if [x.shape for x in a] != [y.shape for y in b]:
        return None
    found = 0.0
    for x, y in zip(a, b, strict=True):
        if x.size and not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
            gap = float(np.abs(x.astype(np.float64) - y.astype(np.float64)).max())
            found = max(found, gap if np.isfinite(gap) else float("inf"))
    return found


def close_to(a: np.ndarray, b: np.ndarray, tolerance: Tolerance = FORWARD) -> bool:
    """Equal to a tolerance that is measured against the largest value."""
    if a.shape != b.shape:
        return False
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return bool(np.array_equal(a, b, equal_nan=True))
    if not a.size:
        return True
    size = max(np.abs(a).max(), np.abs(b).max())
    return bool(np.abs(a - b).max() <= tolerance.floor + tolerance.rel * size)


def all_close_to(a: Arrays, b: Arrays, tolerance: Tolerance = FORWARD) -> bool:
    """`close_to` of two lists of arrays; False where one is longer."""
    return len(a) == len(b) and all(close_to(x, y, tolerance) for x, y in zip(a, b, strict=True))


def each_close(a: Any, b: Any, tolerance: Tolerance, equal_nan: bool = False) -> bool:
    """Equal to a tolerance that is measured element by element."""
    return np.allclose(a, b, rtol=tolerance.rel, atol=tolerance.floor, equal_nan=equal_nan)


def gradients_agree(
    a: Sequence[np.ndarray | None], b: Sequence[np.ndarray | None], tolerance: Tolerance
) -> bool:
    """`each_close` of two lists of gradients; those that either side lacks are left out."""
    return all(
        x is None or y is None or each_close(x, y, tolerance) for x, y in zip(a, b, strict=True)
    )


def peak(arrays: Arrays) -> float:
    """Largest absolute value."""
    return max(float(np.abs(array).max()) for array in arrays)


def trainable_positions(model: keras.Model) -> list[int]:
    """Positions among a model's weights of its trainable variables."""
    kept = {id(variable) for variable in model.trainable_variables}
    return [index for index, variable in enumerate(counted_weights(model)) if id(variable) in kept]


def weight_positions(model: keras.Model) -> list[int]:
    """Positions among a model's weights of everything but the states of random seeds."""
    return [
        i
        for i, v in enumerate(counted_weights(model))
        if "seed_generator" not in v.path and "seed" not in v.name
    ]
