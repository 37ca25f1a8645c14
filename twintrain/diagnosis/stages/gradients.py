"""Stages 'gradients' and 'update', as far as the optimizer: from the loss to the gradients it is
given, replayed from what each side had before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.clipping import global_norm, norm
from twintrain.diagnosis.replay.compare import close_to
from twintrain.diagnosis.replay.losses import LossReading, batch_of, total_loss
from twintrain.diagnosis.replay.model_calls import (
    compute_dtype,
    weights_of,
    whole_call,
)
from twintrain.diagnosis.replay.tolerances import ACCUMULATED, Tolerance, gradient_rel
from twintrain.diagnosis.replay.updates import inner, parts_of
from twintrain.diagnosis.result import Evidence
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.handed import handed
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, Applied, CompleteStep, Step, value_of
from twintrain.diagnosis.watch.weight_order import counted_weights

# Steps whose gradients are replayed.
_TRIED = 2
# The factor a LossScaleOptimizer begins with, for a side that has none.
_USUAL_SCALE = 32768.0

Gradients = list[np.ndarray | None]


@looks_for("loss_scale_not_applied")
def check_scale(pair: Pair) -> bool:
    """Is the loss scaled where it must be?"""
    missing = {side.name: _lacks_scale(side) for side in pair.sides}
    if None in missing.values() or missing[FIT] == missing[LOOP]:
        return True
    side = pair.side(FIT if missing[FIT] else LOOP)
    step, applied = side.updates()[0]
    norm = global_norm(step.gradients)
    pair.findings.name_cause(
        "loss_scale_not_applied",
        side.name,
        side.close[0].number,
        by_reading(
            "norm of the gradients handed to the optimizer",
            norm,
            norm * _scale_of(applied.optimizer),
        ),
    )
    return True


def _scale_of(optimizer: keras.Optimizer) -> float:
    """The factor an optimizer wants its loss to have, however it holds it."""
    for name in ("dynamic_scale", "initial_scale", "loss_scale_factor"):
        held = getattr(optimizer, name, None)
        if held is not None and not isinstance(held, bool):
            return float(value_of(held))
    return _USUAL_SCALE


def _lacks_scale(side: Side) -> bool | None:
    """Whether a side trains in float16 without a scale, or with half of one; None where no
    optimizer was seen.
    """
    updates = side.updates()
    if not updates:
        return None
    step, applied = updates[0]
    for part in parts_of(applied):
        if _divides(part.optimizer):
            return step.scale is None
    return compute_dtype(step.model) == "float16"


def _divides(optimizer: keras.Optimizer) -> bool:
    """Whether an optimizer takes its gradients for those of a scaled loss."""
    dynamic = hasattr(optimizer, "inner_optimizer")
    return dynamic or getattr(optimizer, "loss_scale_factor", None) is not None


def check_gradients(pair: Pair) -> bool:
    """Is each side's gradient the one of the loss that was seen?"""
    for side in pair.sides:
        if side.name in pair.losses:
            _check_gradient(pair, side, pair.losses[side.name])
    return True


def _check_gradient(pair: Pair, side: Side, reading: LossReading) -> None:
    for step in [step for step in side.close if step.number in reading.batches][:_TRIED]:
        again = whole_call(step)
        if again is None:
            pair.findings.unexplained.append(
                f"{side.name}: its calls of parts of the model cannot be replayed as one, so its "
                "gradients were not"
            )
            return
        scale = (step.scale or 1.0) / reading.factors.get(step.number, 1.0)
        observed = {
            position: gradient / scale
            for position, gradient in zip(step.sources, step.gradients, strict=False)
            if gradient is not None
        }
        expected = gradient_of(step, reading, again)
        position = _wrong_gradient(step, observed, expected)
        if position is not None:
            name = counted_weights(step.model)[position].path
            pair.findings.unexplained.append(
                f"{side.name}: the gradient of {name} is not that of its loss (step "
                f"{step.number + 1}: norm {norm(observed[position]):.6g}, by the loss "
                f"{norm(np.asarray(expected[position])):.6g})"
            )
            return


def _wrong_gradient(
    step: CompleteStep,
    observed: dict[int, np.ndarray],
    expected: dict[int, np.ndarray | None],
) -> int | None:
    """The first variable whose gradient is not the expected one."""
    rel = gradient_rel(compute_dtype(step.model))
    sizes = [float(np.abs(g).max()) for g in expected.values() if g is not None]
    tolerance = Tolerance(rel, rel * max(sizes, default=0.0))
    for position, gradient in observed.items():
        wanted = expected.get(position)
        if wanted is not None and not close_to(gradient, wanted, tolerance):
            return position
    return None


def gradient_of(
    step: CompleteStep, reading: LossReading, outputs: Callable[[], Any]
) -> dict[int, np.ndarray | None]:
    """Gradients of the loss a side was read to compute, by position, from the weights before the
    step.

    Args:
        step: whose gradients are computed again.
        reading: how its side computes the loss.
        outputs: computes the outputs of the step again.
    """
    batch, variables = reading.batches[step.number], counted_weights(step.model)
    with weights_of(step.model, step.before, step.states):
        with tf.GradientTape() as tape:
            again = batch_of(step, batch.y, batch.w)
            again.p = outputs()
            added = [tf.cast(loss, tf.float32) for loss in step.model.losses]
            again.added = tf.add_n([*added, reading.lent.of(variables)])
            loss = total_loss(reading.declared, reading.practice, again)
        positions = [p for p in step.sources if p >= 0]
        found = tape.gradient(loss, [variables[p] for p in positions])
    return {
        p: None if g is None else np.array(tf.convert_to_tensor(g), np.float32)
        for p, g in zip(positions, found, strict=True)
    }


class Accumulation(NamedTuple):
    """How gradients are gathered.

    Attributes:
        period: forward passes per update.
        kind: 'mean', 'summed' or 'unknown'.
    """

    period: int
    kind: str

    def __str__(self) -> str:
        if self.period > 1:
            return f"{self.period} batches per update, {self.kind}"
        return "every batch"


@looks_for("gradient_accumulation")
def check_accumulation(pair: Pair) -> bool:
    """Compare how many batches go into an update."""
    fit, loop = (_accumulation(pair, side) for side in pair.sides)
    if fit == loop:
        return True
    if fit.kind == "summed" or (loop.period == 1 and fit.period > 1):
        at_fault, observed, other = FIT, fit, loop
    else:
        at_fault, observed, other = LOOP, loop, fit
    pair.findings.name_cause(
        "gradient_accumulation",
        at_fault,
        0,
        *_replayed(pair.side(at_fault), observed, other),
        by_reading("gradients applied", observed, other),
        fix=_fix(observed, other, pair.other(at_fault).name),
    )
    return True


def _replayed(side: Side, observed: Accumulation, other: Accumulation) -> list[Evidence]:
    """The norm of the first gradients that are applied, where this side adds them up itself."""
    updates = handed(side)
    if observed.kind == "unknown" or not updates or updates[0].passes != observed.period:
        return []
    first = updates[0]
    if first.passes == 1:
        return []
    mean = global_norm(first.raw)
    first_pass = [
        dict(zip(side.steps[0].sources, side.steps[0].gradients, strict=False)).get(p)
        for p in first.applied.variables
    ]
    correct = mean if other.period == observed.period else global_norm(first_pass)
    return [
        by_replay(
            f"norm of the first gradients that are applied (step {first.number + 1})",
            global_norm(first.given),
            mean * (observed.period if observed.kind == "summed" else 1.0),
            correct,
        )
    ]


def _fix(observed: Accumulation, other: Accumulation, name: str) -> str:
    if other.period == 1:
        return f"Apply the gradients of every batch, as {name} does."
    if other.period == observed.period:
        return (
            f"Divide the gradients of {other.period} batches by {other.period} before they are "
            f"applied, as {name} does."
        )
    return (
        f"Apply the mean of the gradients of {other.period} batches, as {name} does: by hand, or "
        f"with gradient_accumulation_steps={other.period} of the optimizer."
    )


def _accumulation(pair: Pair, side: Side) -> Accumulation:
    found = _first_applied(side)
    if found is None:
        return Accumulation(1, "mean")
    last, applied = found
    if last == 0:
        own = getattr(inner(applied.optimizer), "gradient_accumulation_steps", None) or 1
        return Accumulation(int(own), "mean")
    period = last + 1
    window = side.steps[:period]
    if len(applied.gradients) != len(window[0].gradients):
        return Accumulation(period, "mean")
    reading = pair.losses.get(side.name)
    if reading is not None and reading.factors:
        return Accumulation(period, "mean")  # of losses that were divided by their number
    for kind, factor in (("summed", 1.0), ("mean", 1.0 / period)):
        if _is_sum(applied.gradients, window, factor):
            return Accumulation(period, kind)
    return Accumulation(period, "unknown")


def _first_applied(side: Side) -> tuple[int, Applied] | None:
    for number, step in enumerate(side.steps):
        if step.applied is not None:
            return number, step.applied
    return None


def _is_sum(given: Gradients, window: list[Step], factor: float) -> bool:
    """Whether gradients are those of several steps, added up and multiplied."""
    for index, observed in enumerate(given):
        if observed is None:
            continue
        total: Any = sum(step.gradients[index] for step in window)  # type: ignore[misc]
        if not close_to(observed, factor * total, ACCUMULATED):
            return False
    return True


CHECKS = (check_scale, check_gradients, check_accumulation)
