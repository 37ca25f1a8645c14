"""Stage 'batch contents': whether a side that shuffles draws a new order in each epoch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.watch.trace import FIT, LOOP


def repeats(side: Side) -> bool:
    """Whether both epochs have the same order."""
    end = side.first_epoch
    return np.array_equal(side.stream.part(0, end), side.stream.part(end, 2 * end))


def compare_repeats(pair: Pair) -> None:
    """Name the side that shuffled once, and goes on in that order, where the other draws anew."""
    found = {side.name: repeats(side) for side in pair.sides}
    if found[FIT] == found[LOOP] or not _two_epochs_each(pair):
        return
    at_fault = FIT if found[FIT] else LOOP
    side = pair.side(at_fault)
    if not _is_drawn_outside(side):
        return
    pair.findings.name_cause(
        "shuffle_missing",
        at_fault,
        side.first_epoch,
        by_reading("rows at another place in the second epoch than in the first", 0, "nearly all"),
        fix="Draw a new order in every epoch: shuffle() after cache(), not before it, with "
        "reshuffle_each_iteration left at True, and no seed that is set anew in each epoch.",
    )


def _is_drawn_outside(side: Side) -> bool:
    """Whether the order comes from `Dataset.shuffle` or from outside of data sets.

    One that is drawn within a data set, as by `fit` on arrays, is the same in every epoch here
    because everything is seeded.
    """
    if side.name == FIT:
        given = [call.arguments.get("x") for call in side.trace.fits]
        return bool(side.trace.buffers) and all(isinstance(x, tf.data.Dataset) for x in given)
    return bool(side.trace.buffers) or all(step.element is None for step in side.steps)


def _two_epochs_each(pair: Pair) -> bool:
    """Whether two whole epochs of each side were seen, of more than one batch."""
    lengths = {
        count
        for side in pair.sides
        for count in (side.first_epoch, len(side.stream.sizes) - side.first_epoch)
    }
    one_batch = any(max(side.stream.sizes) >= len(pair.subject.train) for side in pair.sides)
    return pair.complete and len(lengths) == 1 and not one_batch
