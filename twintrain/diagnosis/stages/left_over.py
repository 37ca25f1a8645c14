"""Stage 'gradients': what becomes of the batches that are left over at an epoch's end, where
several go into an update and their number does not divide those of an epoch.
"""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.clipping import Gradients
from twintrain.diagnosis.replay.compare import close_to
from twintrain.diagnosis.replay.tolerances import ACCUMULATED
from twintrain.diagnosis.replay.updates import inner
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.handed import Handed, handed
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP

CARRIED = "go into the first update of the next epoch, which takes fewer of its own"
DROPPED = "thrown away"
APPLIED = "applied by themselves"
PILED = "added to those of the first update of the next epoch"


@looks_for("gradient_accumulation")
def check_left_over(pair: Pair) -> bool:
    """Compare it where both sides take as many batches for an update, and these do not come out
    even.
    """
    if pair.findings.has("gradient_accumulation"):
        return True
    periods = {_period(side) for side in pair.sides}
    ends = {side.first_epoch for side in pair.sides}
    if max(periods) < 2:
        return True
    if len(periods) > 1 or len(ends) > 1:
        return False
    if not min(ends) % min(periods):
        return True
    (period,), (end,) = periods, ends
    found = {side.name: _becomes(side, period) for side in pair.sides}
    if None in found.values():
        return False
    if found[FIT] != found[LOOP]:
        count = end % period
        what = f"gradients of the last {count} of {end} batches of epoch 1"
        pair.findings.name_cause(
            "gradient_accumulation",
            LOOP,
            end,
            by_reading(what, found[LOOP], found[FIT]),
            fix="Let the batches that are left over at an epoch's end be what they are in "
            f"keras_fit: {found[FIT]}.",
        )
    return True


def _period(side: Side) -> int:
    """How many batches go into the first update of a side."""
    number = next((n for n, step in enumerate(side.steps) if step.applied is not None), 0)
    return number + 1 if number else _own_period(side)


def _own_period(side: Side) -> int:
    """How many batches its optimizer itself adds up."""
    applied = side.steps[0].applied
    own = None if applied is None else inner(applied.optimizer).gradient_accumulation_steps
    return int(own or 1)


def _becomes(side: Side, period: int) -> str | None:
    """What becomes of them; None where that was not seen."""
    if _own_period(side) == period:
        return CARRIED  # Keras counts on
    updates, end = handed(side), side.first_epoch
    if any(update.number == end - 1 for update in updates):
        return APPLIED
    over = next((u for u in updates if u.number - u.passes < end - 1 < u.number), None)
    if over is None:
        return None
    if over.passes == period:
        return CARRIED if _is_sum_of(side, over, period, period) else None
    if _is_sum_of(side, over, period, period):
        return DROPPED
    return PILED if over.passes > period and _is_sum_of(side, over, over.passes, period) else None


def _is_sum_of(side: Side, update: Handed, last: int, period: int) -> bool:
    """Whether an update was given the sum of the last so many gradients, over the period or not."""
    steps = side.steps[update.number + 1 - last : update.number + 1]
    taken = [dict(zip(step.sources, step.gradients, strict=False)) for step in steps]
    return any(
        all(
            _is_scaled_sum(given, [known.get(position) for known in taken], factor)
            for position, given in zip(
                update.applied.variables, update.applied.gradients, strict=False
            )
        )
        for factor in (1.0 / period, 1.0)
    )


def _is_scaled_sum(given: np.ndarray | None, gradients: Gradients, factor: float) -> bool:
    known = [gradient for gradient in gradients if gradient is not None]
    if given is None or len(known) < len(gradients):
        return given is None and not known
    return close_to(given, factor * np.sum(known, axis=0), ACCUMULATED)


CHECKS = (check_left_over,)
