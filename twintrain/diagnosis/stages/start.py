"""Stage 'before step 0': the weights each side starts from."""

from __future__ import annotations

from twintrain.diagnosis.replay.compare import largest, weight_positions
from twintrain.diagnosis.replay.tolerances import SAME_WEIGHTS
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, Arrays


@looks_for("different_initial_weights")
def check_start(pair: Pair) -> bool:
    """Do both train from the weights they were given?"""
    fit, loop = (_start_of(side) for side in pair.sides)
    if fit is None or loop is None:
        return False
    gap = largest(fit, loop)
    if gap is None:
        pair.findings.unexplained.append("the two sides train models of different shapes")
    elif gap > SAME_WEIGHTS:
        moved = {FIT: _distance(pair.fit, fit), LOOP: _distance(pair.loop, loop)}
        at_fault = FIT if moved[FIT] > 0 and not moved[LOOP] > 0 else LOOP
        distance = "largest distance from the given weights at the first step"
        pair.findings.name_cause(
            "different_initial_weights", at_fault, None, by_reading(distance, moved[at_fault], 0.0)
        )
    return True


def _start_of(side: Side) -> Arrays | None:
    first = side.steps[0]
    if first.before is None:
        return None
    return [first.before[i] for i in weight_positions(first.model)]


def _distance(side: Side, start: Arrays) -> float:
    """How far a side starts from the weights of the model it was given."""
    model = side.steps[0].model
    if len(side.trace.initial) != len(model.variables):
        return 0.0  # given unbuilt, or trained within a larger model
    given = [side.trace.initial[i] for i in weight_positions(model)]
    return largest(given, start) or 0.0


CHECKS = (check_start,)
