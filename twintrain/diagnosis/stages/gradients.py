"""Stages 'gradients' and 'update', as far as the optimizer: from the loss to the gradients it is
given, replayed from what each side had before it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.compare import close_to, each_close, gradients_agree
from twintrain.diagnosis.replay.losses import LossReading, batch_of, total_loss
from twintrain.diagnosis.replay.model_calls import (
    call_model,
    compute_dtype,
    weights_of,
    whole_call,
)
from twintrain.diagnosis.replay.tolerances import (
    ACCUMULATED,
    CLIPPED,
    SAME_LIMIT,
    Tolerance,
    gradient_rel,
)
from twintrain.diagnosis.replay.updates import clip, clipped_by_hand, clipping, global_norm, inner
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, Applied, CompleteStep, Step, value_of

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
    for part in applied.parts or [applied]:
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
        if whole_call(step) is None:
            pair.findings.unexplained.append(
                f"{side.name}: its calls of parts of the model cannot be replayed as one, so its "
                "gradients were not"
            )
            return
        position = _wrong_gradient(step, gradient_of(step, reading))
        if position is not None:
            name = step.model.variables[position].path
            pair.findings.unexplained.append(
                f"{side.name}: the gradient of {name} is not that of its loss (step "
                f"{step.number + 1})"
            )
            return


def _wrong_gradient(step: CompleteStep, expected: dict[int, np.ndarray | None]) -> int | None:
    """The first variable whose gradient is not the expected one."""
    rel = gradient_rel(compute_dtype(step.model))
    sizes = [float(np.abs(g).max()) for g in expected.values() if g is not None]
    tolerance = Tolerance(rel, rel * max(sizes, default=0.0))
    scale = step.scale or 1.0
    for position, observed in zip(step.sources, step.gradients, strict=False):
        wanted = expected.get(position)
        if observed is None or wanted is None:
            continue
        if not close_to(observed / scale, wanted, tolerance):
            return position
    return None


def gradient_of(step: CompleteStep, reading: LossReading) -> dict[int, np.ndarray | None]:
    """Gradients of the loss a side was read to compute, by position, from the weights before the
    step.
    """
    batch = reading.batches[step.number]
    called = whole_call(step) or step.model
    with weights_of(step.model, step.before, step.states):
        with tf.GradientTape() as tape:
            again = batch_of(step, batch.y, batch.w)
            again.p = call_model(called, step.inputs, step.training)
            added = [tf.cast(loss, tf.float32) for loss in step.model.losses]
            again.added = tf.add_n(added) if added else 0.0
            loss = total_loss(reading.declared, reading.practice, again)
        positions = [p for p in step.sources if p >= 0]
        found = tape.gradient(loss, [step.model.variables[p] for p in positions])
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
    fit, loop = (_accumulation(side) for side in pair.sides)
    if fit == loop:
        return True
    if fit.kind == "summed" or (loop.period == 1 and fit.period > 1):
        at_fault, observed, other = FIT, fit, loop
    else:
        at_fault, observed, other = LOOP, loop, fit
    pair.findings.name_cause(
        "gradient_accumulation", at_fault, 0, by_reading("gradients applied", observed, other)
    )
    return True


def _accumulation(side: Side) -> Accumulation:
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


class Clipped(NamedTuple):
    """Gradients as they reach the update rule, and the clipping that led to them."""

    gradients: Gradients
    rule: tuple[str, float]


@looks_for("clip_per_variable_vs_global")
def check_clipping(pair: Pair) -> bool:
    """Compare how gradients are clipped."""
    if pair.findings.has("gradient_accumulation", "loss_scale_not_applied"):
        return True
    rules = _rules(pair)
    if rules is None:
        return True
    fit, loop = rules
    if fit[0] == loop[0] and each_close(fit[1], loop[1], SAME_LIMIT):
        return True
    for step, applied in pair.loop.updates():
        found = _clipped(step, applied)
        if found is None:
            continue
        wanted = clip(fit, step.gradients)
        if not gradients_agree(found.gradients, wanted, CLIPPED):
            _name_clipping(pair, step, (fit, wanted), (loop, found.gradients))
            break
    return True


def _clipped(step: CompleteStep, applied: Applied) -> Clipped | None:
    """None where gradients are changed otherwise between the tape and the optimizer."""
    by_hand = clipped_by_hand(step.gradients, applied.gradients)
    if by_hand is None:
        return None
    own = clipping(applied.optimizer)
    return Clipped(clip(own, applied.gradients), own if by_hand[0] == "none" else by_hand)


def _rules(pair: Pair) -> tuple[tuple[str, float], tuple[str, float]] | None:
    """How each side clips in its first update; None where that cannot be said of both."""
    updates = [side.updates()[:1] for side in pair.sides]
    if not all(updates):
        return None
    fit, loop = (_clipped(*found[0]) for found in updates)
    for side, found in ((pair.fit, fit), (pair.loop, loop)):
        if found is None:
            pair.findings.unexplained.append(
                f"{side.name}: gradients are changed on their way to the optimizer"
            )
    return None if fit is None or loop is None else (fit.rule, loop.rule)


def _name_clipping(
    pair: Pair,
    step: CompleteStep,
    fit: tuple[tuple[str, float], Gradients],
    loop: tuple[tuple[str, float], Gradients],
) -> None:
    """Name what differs, in a step of the loop whose gradients it changes.

    Args:
        pair: findings go here.
        step: of the loop.
        fit: the rule of fit, and what it makes of the step's gradients.
        loop: the rule of the loop, and what it made of them.
    """
    fit_rule, wanted = fit
    loop_rule, found = loop
    kinds = {fit_rule[0], loop_rule[0]}
    of_norms = kinds == {"global", "per variable"}
    pair.findings.name_cause(
        "clip_per_variable_vs_global" if of_norms else "optimizer_differs",
        LOOP,
        step.number,
        by_reading("clipping of gradients", _said(loop_rule), _said(fit_rule)),
        by_replay(
            "norm of all gradients after clipping",
            global_norm(found),
            global_norm(clip(loop_rule, step.gradients)),
            global_norm(wanted),
        ),
    )


def _said(rule: tuple[str, float]) -> str:
    return "none" if rule[0] == "none" else f"{rule[0]}, at {rule[1]:.4g}"


CHECKS = (check_scale, check_gradients, check_accumulation, check_clipping)
