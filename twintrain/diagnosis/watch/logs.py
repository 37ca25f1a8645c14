"""Finds the series of figures, one per epoch, in whatever a trainer returned as its log, and tells
what their names mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

Series = dict[str, list[float]]

# Words of a name that say on what a figure was computed, and words that say nothing.
_HELD_OUT = {"val", "valid", "validation", "test", "testing", "eval", "evaluation", "dev"}
_EMPTY = {"train", "training", "tr", "epoch", "epochs", "avg", "average", "history", "log", "logs"}
_EMPTY |= {"total", "running", "value"}
# Spellings of one figure, at the end of a name; the first that fits is replaced.
_SPELLINGS = (
    # 'f1_m', 'dice_coef' and 'iou_metric' are what 'f1', 'dice' and 'iou' are elsewhere.
    (r"(?<=\w) (m|metric|score|fn|func)$", ""),
    (r"\b(dice|iou|jaccard|tversky) (coef|coeff|coefficient)$", r"\1"),
    (r"\b(accs|accuracies|acc)$", "accuracy"),
    (r"\blosses$", "loss"),
    (r"\b(sparse categorical|categorical|binary) accuracy$", "accuracy"),
    (r"\broot mean squared? error$", "rmse"),
    (r"\bmean squared error$", "mse"),
    (r"\bmean absolute error$", "mae"),
    (r"^mean$", ""),
)


class FigureName(NamedTuple):
    """What the name of a series says.

    Attributes:
        held_out: it is of the evaluation, and not of training.
        figure: 'loss', 'accuracy', 'mae', 'mse', 'rmse' or as it is spelt, in small letters; with
            the output's name before it where that is given. Empty where the name says nothing.
    """

    held_out: bool
    figure: str


def figure_name(name: str, numbered: bool = False) -> FigureName:
    """Read the name of a series: 'val_acc' and 'test.accuracy' are one figure.

    Args:
        name: as it stands in a log, or on a metric object.
        numbered: a number at its end tells it from others and says nothing ('accuracy_2').
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = [word for word in re.split(r"[^a-z0-9]+", split) if word]
    if numbered and words and words[-1].isdigit():
        words.pop()
    held_out = any(word in _HELD_OUT for word in words)
    figure = " ".join(word for word in words if word not in _HELD_OUT | _EMPTY)
    for spelt, meant in _SPELLINGS:
        if "top" not in words:
            figure = re.sub(spelt, meant, figure)
    return FigureName(held_out, "" if figure.replace(" ", "").isdigit() else figure)


def read_log(log: Any, name: str = "") -> Series:
    """Series by name; unnamed ones are numbered.

    Understands a Keras History, a dict of lists or numbers, a list of dicts, a list of numbers and
    a list of lists; anything else gives nothing.
    """
    if isinstance(getattr(log, "history", None), dict):
        log = log.history
    if isinstance(log, dict):
        return _of_mapping(log, name)
    number = _number(log)
    if number is not None:
        return {name or "value": [number]}
    if isinstance(log, (list, tuple)) and log:
        return _of_sequence(log, name)
    return {}


def _of_mapping(log: dict[Any, Any], name: str) -> Series:
    found: Series = {}
    for key, value in log.items():
        found |= read_log(value, _below(name, key))
    return found


def _of_sequence(log: Sequence[Any], name: str) -> Series:
    numbers = [_number(value) for value in log]
    if all(number is not None for number in numbers):
        return {name or "value": [number for number in numbers if number is not None]}
    if all(isinstance(value, dict) for value in log):
        return _of_mappings(log, name)
    if _is_table(log):
        return _of_table(log, name)
    return _numbered(log, name)


def _of_mappings(log: Sequence[dict[Any, Any]], name: str) -> Series:
    """An epoch in each dict: a series goes through all of them."""
    found: Series = {}
    for key in dict.fromkeys(key for epoch in log for key in epoch):
        found |= read_log([epoch.get(key) for epoch in log], _below(name, key))
    return found


def _is_table(log: Sequence[Any]) -> bool:
    """Whether this is a list of lists of one length."""
    if not all(isinstance(value, (list, tuple)) for value in log):
        return False
    return len({len(value) for value in log}) == 1


def _of_table(log: Sequence[Sequence[Any]], name: str) -> Series:
    """A series in each column; in each row where the rows are longer than there are many."""
    series = log if len(log[0]) > len(log) else list(zip(*log, strict=True))
    return _numbered([list(values) for values in series], name)


def _numbered(log: Sequence[Any], name: str) -> Series:
    found: Series = {}
    for index, value in enumerate(log):
        found |= read_log(value, f"{name}[{index}]")
    return found


def _below(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, str, bytes)) or value is None:
        return None
    if isinstance(value, (int, float, np.generic)):
        return float(value)
    if isinstance(value, np.ndarray) or tf.is_tensor(value):
        array = np.asarray(value)
        return float(array.item()) if array.size == 1 and array.dtype.kind in "fiu" else None
    return None
