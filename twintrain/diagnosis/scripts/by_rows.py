"""Of several calls of `fit`, the one that a loop is the counterpart of: the only one that is given
the rows the loop trains on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.scripts.entries import rows_of
from twintrain.diagnosis.scripts.trainings import Training
from twintrain.diagnosis.watch.frozen_rows import keys_of
from twintrain.diagnosis.watch.trace import FIT

# Of `fit`'s inputs; of more, nothing is told.
_MOST_BYTES = 1 << 29


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
    single = len(first.sections) == len(loop.sections) == 1 and not (first.again or loop.again)
    return first if single and first.shapes == loop.shapes else None


def _is_like(fit: Training, loop: Training) -> bool | None:
    """Whether both are given the same rows; None where that is not known."""
    if fit.feeds and fit.feeds == loop.feeds:
        return True
    given = None if fit.fit is None else fit.fit.given.get("x")
    # Data sets made at different lines may be of the same arrays.
    if fit.feeds or given is None or not loop.keys or not rows_of(given):
        return None
    try:
        arrays = _as_arrays(given)
        if sum(part.nbytes for part in keras.tree.flatten(arrays)) > _MOST_BYTES:
            return None
        known = set(keys_of(arrays))
    except (AttributeError, TypeError, ValueError):  # texts, frames, objects of the user's
        return None
    return loop.keys <= known


def _as_arrays(given: Any) -> Any:
    return given if isinstance(given, (dict, list, tuple)) else np.asarray(given)
