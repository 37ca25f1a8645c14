"""Finds the series of figures, one per epoch, in whatever a trainer returned as its log."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def read_log(log: Any, name: str = "") -> dict[str, list[float]]:
    """Series by name; unnamed ones are numbered.

    Understands a Keras History, a dict of lists or numbers, a list of dicts, a list of numbers and
    a list of lists; anything else gives nothing.
    """
    if log is None:
        return {}
    if hasattr(log, "history") and isinstance(log.history, dict):
        log = log.history
    if isinstance(log, dict):
        found: dict[str, list[float]] = {}
        for key, value in log.items():
            found |= read_log(value, f"{name}.{key}" if name else str(key))
        return found
    number = _number(log)
    if number is not None:
        return {name or "value": [number]}
    if not isinstance(log, (list, tuple)) or not log:
        return {}
    numbers = [_number(value) for value in log]
    if all(value is not None for value in numbers):
        return {name or "value": [value for value in numbers if value is not None]}
    if all(isinstance(value, dict) for value in log):
        found = {}
        for key in dict.fromkeys(key for value in log for key in value):
            found |= read_log(
                [value.get(key) for value in log], f"{name}.{key}" if name else str(key)
            )
        return found
    if (
        all(isinstance(value, (list, tuple)) for value in log)
        and len({len(value) for value in log}) == 1
    ):
        found = {}
        for index, series in enumerate(log if len(log[0]) > len(log) else zip(*log, strict=True)):
            found |= read_log(list(series), f"{name}[{index}]")
        return found
    found = {}
    for index, value in enumerate(log):
        found |= read_log(value, f"{name}[{index}]")
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, str, bytes)) or value is None:
        return None
    if isinstance(value, (int, float, np.generic)):
        return float(value)
    if isinstance(value, np.ndarray) or tf.is_tensor(value):
        array = np.asarray(value)
        return float(array) if array.size == 1 and array.dtype.kind in "fiu" else None
    return None
