"""Of several calls of `fit`, the one that a loop is the counterpart of: the only one that is given
the rows the loop trains on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from twintrain.diagnosis.scripts.entries import rows_of
from twintrain.diagnosis.scripts.trainings import Training
from twintrain.diagnosis.watch.frozen_rows import keys_of
from twintrain.diagnosis.watch.trace import FIT

# Rows of `fit` that are looked through; of more, nothing is told.
_MOST_ROWS = 200_000


def counterpart(trainings: Sequence[Training]) -> Training | None:
    """The call of `fit` that is given the rows of the only loop; None where more than one may be,
    or where a side trains in several phases, of which nothing tells which belong together.

    Args:
        trainings: all of a program.
    """
    fits = [training for training in trainings if training.side == FIT]
    loops = [training for training in trainings if training.side != FIT]
    if len(loops) != 1 or len(fits) < 2:
        return None
    (loop,) = loops
    like = {id(fit): _is_like(fit, loop) for fit in fits}
    possible = [fit for fit in fits if like[id(fit)] is not False]
    if len(possible) != 1 or not like[id(possible[0])]:
        return None
    (first,) = possible
    single = len(first.sections) == len(loop.sections) == 1 and not loop.again
    return first if single and _shapes(first) == _shapes(loop) else None


def _is_like(fit: Training, loop: Training) -> bool | None:
    """Whether both are given the same rows; None where that is not known."""
    if fit.feeds and loop.feeds:
        return fit.feeds == loop.feeds
    given = None if fit.fit is None else fit.fit.given.get("x")
    if given is None or not loop.keys or not (rows := rows_of(given)) or rows > _MOST_ROWS:
        return None
    try:
        known = set(keys_of(_as_arrays(given)))
    except (TypeError, ValueError):  # texts, ragged rows, objects of the user's
        return None
    return loop.keys <= known


def _as_arrays(given: Any) -> Any:
    return given if isinstance(given, (dict, list, tuple)) else np.asarray(given)


def _shapes(training: Training) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in training.models[0].weights]
