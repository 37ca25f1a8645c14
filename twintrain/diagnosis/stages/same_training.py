"""Whether both sides did the same so far, so that a difference of what they report is news."""

from __future__ import annotations

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.compare import each_close, largest, weight_positions
from twintrain.diagnosis.replay.tolerances import END_FACTOR, ROUNDING, SAME_ROW
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.watch.trace import Arrays


def other_training(pair: Pair) -> str:
    """Why the trainings are not the same; empty where both had the same batches, step by step, and
    the same weights after each epoch.
    """
    if pair.fit.ends != pair.loop.ends:
        return "the two take another number of steps"
    for fit, loop in zip(pair.fit.stream.values, pair.loop.stream.values, strict=True):
        if fit.shape != loop.shape or not each_close(fit, loop, SAME_ROW):
            return "the two train on other batches"
    for number in range(len(pair.fit.ends)):
        fit_weights, loop_weights = (_weights(side, number) for side in pair.sides)
        if fit_weights is None or loop_weights is None:
            continue
        gap = largest(fit_weights, loop_weights)
        if gap is None or gap > ROUNDING * END_FACTOR:
            return f"the weights differ after epoch {number + 1}"
    return ""


def _weights(side: Side, epoch: int) -> Arrays | None:
    """Weights after an epoch, without the states of random seeds; None where they were not kept."""
    step = side.steps[side.ends[epoch] - 1]
    after = step.after
    return None if after is None else [after[p] for p in weight_positions(step.model)]


def other_evaluation(pair: Pair) -> str:
    """Why the evaluations are not the same, as far as their stage found it; empty where nothing was
    found.
    """
    found = [c.id for c in pair.findings.causes if c.first_visible is Stage.EVALUATION]
    return f"the two evaluate otherwise ({', '.join(found)})" if found else ""
