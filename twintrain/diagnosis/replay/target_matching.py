"""Whose target each input was fed with, whatever was made of the targets on the way.

Encoding, scaling, smoothing and casting are functions of a row's own target, and leave each row its
own. Only targets that are those of the data, or a function of them, and stand at other rows are
those of other rows.
"""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.tolerances import (
    KNOWN_TARGETS,
    SAME_CLASSES,
    SAME_ROW,
    SAME_TARGET,
    SCALED,
    TINY,
    WRONG_PAIRS,
)


def sources_of(rows: np.ndarray, fed: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
    """Per input, the row whose target it came with.

    Args:
        rows: the row of each input.
        fed: the target each came with, a row per input.
        targets: of the data, a row per row of it.

    Returns:
        The rows themselves where each came with its own target; None where it cannot be told what
        the targets are.
    """
    own = targets[rows]
    if own.shape == fed.shape and each_close(own, fed, SAME_ROW, equal_nan=True):
        return rows
    if not (np.isfinite(fed).all() and np.isfinite(targets).all()):
        return None
    classes = _classes(own)
    few = classes.max() + 1 <= len(np.unique(rows)) / 2
    if _is_function(own, classes, fed, few):
        return rows
    if few:
        return _of_classes(rows, fed, targets)
    found = _of_values(rows, fed, targets)
    return _of_scaled(rows, fed, targets) if found is None else found


def _classes(values: np.ndarray) -> np.ndarray:
    """A number for each row, the same for equal rows; numbers follow the order of the values."""
    numbers: np.ndarray = np.unique(_rounded(values), axis=0, return_inverse=True)[1].reshape(-1)
    return numbers


def _rounded(values: np.ndarray) -> np.ndarray:
    """In whole units of what may be rounding. Adding zero turns -0.0 into 0.0."""
    return np.round(values / _unit(values)) + 0.0


def _unit(values: np.ndarray) -> float:
    return SAME_TARGET * max(float(np.abs(values).max()), TINY)


def _is_function(own: np.ndarray, classes: np.ndarray, fed: np.ndarray, few: bool) -> bool:
    """Whether fed targets are made of the rows' own."""
    if few:
        return _maps(classes, _classes(fed))
    if own.shape == fed.shape and _fit_line(own.ravel(), fed.ravel()) is not None:
        return True
    if own.shape[1] == fed.shape[1] == 1:
        rising = np.diff(fed[np.argsort(own[:, 0], kind="stable"), 0])
        return bool((rising >= 0).all() or (rising <= 0).all())
    return False


def _maps(classes: np.ndarray, fed: np.ndarray) -> bool:
    """Whether each class has one fed target, and each another one; where all rows agree, several
    may have the same.
    """
    table = np.zeros((classes.max() + 1, fed.max() + 1), int)
    np.add.at(table, (classes, fed), 1)
    share = table.max(axis=1).sum() / len(classes)
    one_to_one = len(set(table.argmax(axis=1))) == len(table)
    return bool(share == 1 or (one_to_one and share >= KNOWN_TARGETS))


def _of_classes(rows: np.ndarray, fed: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
    """Rows by class: the first row of the class that was fed."""
    numbers = _classes(targets)
    fed_classes = _class_numbers(fed, targets, numbers)
    if fed_classes is None:
        return None
    own = numbers[rows]
    wrong = float((own != fed_classes).mean())
    if wrong <= WRONG_PAIRS:
        return rows
    counts = [np.bincount(found, minlength=numbers.max() + 1) for found in (own, fed_classes)]
    moved = int(np.abs(counts[0] - counts[1]).sum()) // 2
    by_chance = 1 - float(((counts[0] / len(rows)) ** 2).sum())
    # Noise in labels does not keep the number of rows of each class; dealing them out anew does.
    if moved and (moved > max(1, SAME_CLASSES * len(rows)) or wrong < by_chance / 2):
        return None
    first = np.unique(numbers, return_index=True)[1]
    return np.where(own == fed_classes, rows, first[fed_classes])


def _class_numbers(fed: np.ndarray, targets: np.ndarray, numbers: np.ndarray) -> np.ndarray | None:
    """Classes of fed targets, numbered as those of the data: the same values, their rank, or one
    of several columns.
    """
    count = numbers.max() + 1
    if len(np.unique(_rounded(fed), axis=0)) > count:
        return None
    if fed.shape[1] == targets.shape[1]:
        together = _classes(np.concatenate([targets, fed]))
        if together.max() + 1 == count:
            return together[len(targets) :]
    if fed.shape[1] == 1:
        ranks = _classes(fed)
        return ranks if ranks.max() + 1 == count else None
    if targets.shape[1] > 1:
        return None
    # One column per class, in the order of the class numbers.
    labels = np.unique(targets[:, 0])
    columns = fed.argmax(axis=1)
    if not np.isin(columns, labels).all():
        return None
    return np.searchsorted(labels, columns)


def _of_values(rows: np.ndarray, fed: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
    """Rows by the target itself, where it is the data's as it is."""
    if fed.shape[1] != targets.shape[1]:
        return None
    together = _classes(np.concatenate([targets, fed]))
    known, found = together[: len(targets)], together[len(targets) :]
    first = np.full(together.max() + 1, -1)
    first[known[::-1]] = np.arange(len(known))[::-1]
    sources = first[found]
    if (sources >= 0).mean() < KNOWN_TARGETS:
        return None
    return np.where((known[rows] == found) | (sources < 0), rows, sources)


def _of_scaled(rows: np.ndarray, fed: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
    """Rows by the order of their targets, where these are the data's up to a scale and an offset of
    each column, each as often as its row was fed.
    """
    if fed.shape[1] != targets.shape[1]:
        return None
    # By the column in which the fewest are equal; the others must agree.
    column = int(np.argmax([len(np.unique(values)) for values in targets[rows].T]))
    by_own = np.argsort(targets[rows, column], kind="stable")
    own = targets[rows[by_own], column]
    for direction in (1, -1):
        by_fed = np.argsort(fed[:, column], kind="stable")[::direction]
        if _fit_line(own, fed[by_fed, column]) is None:
            continue
        sources = np.empty_like(rows)
        sources[by_fed] = rows[by_own]
        if all(map(_on_a_line, targets[sources].T, fed.T)):
            same = np.abs(targets[sources] - targets[rows]).max(axis=1) <= _unit(targets)
            return np.where(same, rows, sources)
    return None


def _on_a_line(x: np.ndarray, y: np.ndarray) -> bool:
    return _fit_line(x, y) is not None if np.ptp(x) > 0 else not np.ptp(y) > 0


def _fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Scale and offset that make y of x; None where none do."""
    if not np.ptp(x) > 0:
        return None
    a, b = np.polyfit(x.astype(np.float64), y.astype(np.float64), 1)
    largest = max(float(np.abs(y).max()), TINY)
    return (float(a), float(b)) if np.abs(a * x + b - y).max() < SCALED * largest else None
