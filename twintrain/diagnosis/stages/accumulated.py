"""Gradients of several small batches that are added up rightly: the same updates as with large
batches, of which no single step is the other side's.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from twintrain.diagnosis.replay.compare import largest, trainable_positions
from twintrain.diagnosis.replay.tolerances import PARTED, PARTED_FLOOR
from twintrain.diagnosis.stages.pair import Pair

# What a small batch looks like beside a large one; each acts in every update.
_OF_SMALL_BATCHES = frozenset(
    {"batch_size_differs", "gradient_accumulation", "gradients_rescaled", "loss_reduction"}
)


def acquit_accumulation(pair: Pair, parted: bool) -> None:
    """Take back what was named of small batches where both sides end with the same weights.

    The watched epochs decide: their batches are as large as the code has them, and they end in as
    small a batch as all of the data does.

    Args:
        pair: watched with nothing shuffled; its findings are changed.
        parted: the weights of the sides came apart in the longer runs.
    """
    findings = pair.findings
    named = {cause.id for cause in findings.causes}
    sides = {cause.side for cause in findings.causes}
    if "gradient_accumulation" not in named or not named <= _OF_SMALL_BATCHES or len(sides) > 1:
        return
    # Of one update in an epoch, all rows are in it, whatever the size.
    if parted or not pair.complete or pair.fit.first_epoch < 2 or not end_alike(pair):
        return
    (side,) = sides
    findings.causes.clear()
    findings.ruled_out |= named
    findings.adds_up = side
    findings.notes.append(
        f"{side} adds up the gradients of several small batches for an update. With nothing "
        f"shuffled, both sides have the same weights after two epochs of {pair.fit.first_epoch} "
        "updates; what one small batch does was not compared."
    )


def end_alike(pair: Pair, chosen: Callable[[keras.Model], list[int]] = trainable_positions) -> bool:
    """Whether both end with the same weights, those chosen of each model, but for what rounding
    makes.
    """
    start = pair.fit.steps[0].before
    positions = [chosen(side.steps[0].model) for side in pair.sides]
    ends = [side.trace.kept for side in pair.sides]
    if start is None or any(end is None for end in ends) or positions[0] != positions[1]:
        return False
    first, fit, loop = (
        [values[p] for p in positions[0]] for values in (start, *ends) if values is not None
    )
    gap, moved = largest(fit, loop), largest(fit, first)
    return gap is not None and moved is not None and gap <= max(PARTED * moved, PARTED_FLOOR)
