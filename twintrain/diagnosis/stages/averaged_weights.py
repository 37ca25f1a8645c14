"""Stage 'evaluation': weights that are averaged while they are trained."""

from __future__ import annotations

from twintrain.diagnosis.replay.compare import largest, trainable_positions
from twintrain.diagnosis.replay.tolerances import AVERAGE_APART
from twintrain.diagnosis.replay.updates import inner
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.seams import identity
from twintrain.diagnosis.watch.trace import FIT, LOOP, Applied, Arrays, value_of
from twintrain.diagnosis.watch.weight_order import counted_weights


@looks_for("ema_not_finalized")
def check_average(pair: Pair) -> bool:
    """Are averaged weights (EMA) written back on both sides?"""
    fit, loop = (_kept_average(side) for side in pair.sides)
    if fit is None or loop is None:
        return False
    if fit != loop:
        pair.findings.name_cause(
            "ema_not_finalized",
            FIT if fit == "last" else LOOP,
            None,
            by_reading("weights at the end", "last of the training", "moving average"),
        )
    return True


def _kept_average(side: Side) -> str | None:
    """'average' or 'last' by which of the two the kept weights are; None without averaging."""
    applied = [step.applied for step in side.steps if step.applied is not None]
    if not applied or not getattr(inner(applied[-1].optimizer), "use_ema", False):
        return None
    last = _last_and_average(side, applied[-1])
    if last is None or side.trace.kept is None:
        return None
    weights, averages = last
    positions = trainable_positions(side.steps[0].model)
    kept = [side.trace.kept[p] for p in positions]
    to_average, to_last = largest(kept, averages), largest(kept, weights)
    if to_average is None or to_last is None or max(to_average, to_last) < AVERAGE_APART:
        return None
    return "average" if to_average < to_last else "last"


def _last_and_average(side: Side, applied: Applied) -> tuple[Arrays, Arrays] | None:
    """The trainable weights after the last update, and their moving averages; None where these are
    not of the weights that were kept.
    """
    core, model = inner(applied.optimizer), side.steps[0].model
    averaged = {
        identity(variable): value_of(average)
        for variable, average in zip(
            core._trainable_variables, core._model_variables_moving_average, strict=False
        )
    }
    positions, counted = trainable_positions(model), counted_weights(model)
    averages = [averaged.get(identity(counted[p])) for p in positions]
    known = [average for average in averages if average is not None]
    last, kept = applied.after, side.trace.kept
    if not last or kept is None or len(known) != len(averaged) or len(kept) != len(last):
        return None
    return ([last[p] for p in positions], known) if len(known) == len(positions) else None


CHECKS = (check_average,)
