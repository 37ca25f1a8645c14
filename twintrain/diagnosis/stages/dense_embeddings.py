"""Stage 'update': gradients of embeddings, handed over as slices or as one dense tensor.

A tape gives a slice for each id it looked up. Keras's adaptive optimizers square each slice by
itself; dense, those of one id are added up first. So equal gradients lead to other weights wherever
an id stands more than once in a batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.compare import all_close_to, each_close
from twintrain.diagnosis.replay.tolerances import CLIPPED
from twintrain.diagnosis.replay.updates import replay_update
from twintrain.diagnosis.stages.changes import change_of_weight, changes_differ
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.lockstep_tables import aligned, compared_steps
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, CompleteStep, SlicedGradient
from twintrain.diagnosis.watch.weight_order import counted_weights


class _Found(NamedTuple):
    """A gradient that one side hands over dense, and the other in slices."""

    side: str
    position: int
    slices: SlicedGradient


@looks_for("embedding_gradients_dense")
def check_embeddings(pair: Pair) -> bool:
    """Name the side that makes an embedding's gradient dense, where that changes the update."""
    for fit, loop in compared_steps(pair):
        if not aligned(fit, loop) or not all_close_to(fit.before, loop.before):
            continue
        for found in _one_sided(fit, loop):
            step = fit if found.side == FIT else loop
            if _name(pair, step, found):
                return True
    return True


def _one_sided(fit: CompleteStep, loop: CompleteStep) -> list[_Found]:
    """Equal gradients that are handed over in slices on one side alone, an id more than once."""
    if fit.applied is None or loop.applied is None:
        return []
    ours, theirs = (
        dict(zip(step.applied.variables, step.applied.gradients, strict=False))
        for step in (fit, loop)
        if step.applied is not None
    )
    found = []
    for position in sorted(set(ours) & set(theirs)):
        a, b = ours[position], theirs[position]
        if a is None or b is None or a.shape != b.shape or not each_close(a, b, CLIPPED):
            continue
        if _repeats(a) and _slices(b) is None:
            found.append(_Found(LOOP, position, a))  # type: ignore[arg-type]
        elif _repeats(b) and _slices(a) is None:
            found.append(_Found(FIT, position, b))  # type: ignore[arg-type]
    return found


def _slices(gradient: np.ndarray) -> tf.IndexedSlices | None:
    return getattr(gradient, "slices", None)


def _repeats(gradient: np.ndarray) -> bool:
    """Whether some id has several slices."""
    slices = _slices(gradient)
    if slices is None:
        return False
    ids = np.asarray(slices.indices).ravel()
    return len(np.unique(ids)) < len(ids)


def _name(pair: Pair, step: CompleteStep, found: _Found) -> bool:
    """Name it where the other side's slices make another update; False where they do not."""
    applied = step.applied
    if applied is None:
        return False
    handed = [
        found.slices if position == found.position else gradient
        for position, gradient in zip(applied.variables, applied.gradients, strict=False)
    ]
    dense, sliced = replay_update(step), replay_update(step, gradients=handed)
    if dense is None or sliced is None or not changes_differ(step, dense, sliced):
        return False
    ids = np.asarray(found.slices.slices.indices).ravel()  # type: ignore[union-attr]
    path = counted_weights(step.model)[found.position].path
    pair.findings.name_cause(
        "embedding_gradients_dense",
        found.side,
        step.number,
        *change_of_weight(step.number, step, dense, sliced),
        by_reading(
            f"gradient of {path} handed to the optimizer",
            "one dense tensor",
            f"{len(ids):,} slices of {len(np.unique(ids)):,} ids",
        ),
    )
    return True


CHECKS = (check_embeddings,)
