"""A loop that updates its weights without a Keras optimizer: which update rule reproduces it?"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.compare import close_to, each_close
from twintrain.diagnosis.replay.tolerances import (
    CONSTRAINT,
    DESCENT,
    DESCENT_RATE,
    MEDIAN_RATE,
    TINY_NORM,
    UPDATE,
)
from twintrain.diagnosis.replay.updates import constants, copy_of, settings
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.watch.trace import LOOP, Applied, CompleteStep

# Steps that are replayed one after the other, from a fresh state.
_TRIED = 4


def check_manual_update(pair: Pair, side: Side) -> None:
    """Name what differs from the other side's optimizer, or say that no rule fits.

    The candidates: the other side's optimizer from a fresh state, with the constraints of the
    weights and without, and plain gradient descent.
    """
    steps = side.close[:_TRIED]
    if not steps or all(gradient is None for gradient in steps[0].gradients):
        pair.findings.unexplained.append(f"{side.name}: no gradients and no optimizer were seen")
        return
    applied = _applied_by(pair.other(side.name))
    if applied is not None:
        if _reproduces(steps, applied.optimizer, constrained=True):
            return
        if _reproduces(steps, applied.optimizer, constrained=False):
            _check_constraints(pair, side, steps[0])
            return
    rate = _descent(steps)
    if rate is None:
        pair.findings.unexplained.append(
            f"{side.name}: no update rule that was tried gives its new weights"
        )
        return
    _compare_descent(pair, side, rate, applied)
    _check_constraints(pair, side, steps[0])


def _applied_by(side: Side) -> Applied | None:
    """The first update of a side by an optimizer."""
    return next((step.applied for step in side.steps if step.applied is not None), None)


def _compare_descent(pair: Pair, side: Side, rate: float, applied: Applied | None) -> None:
    """Hold plain descent against the other side's optimizer."""
    wanted = "none seen" if applied is None else settings(applied.optimizer)["class"]
    right = 0.0 if applied is None else applied.learning_rate
    if wanted == "SGD" and each_close(rate, right, MEDIAN_RATE):
        return
    pair.findings.name_cause(
        "optimizer_differs",
        LOOP,
        0,
        by_reading("optimizer", "gradient descent by hand", wanted),
        by_reading("learning rate", rate, right),
    )


def _check_constraints(pair: Pair, side: Side, step: CompleteStep) -> None:
    name = _outside(step)
    if name is not None:
        pair.findings.name_cause(
            "constraints_not_applied",
            side.name,
            0,
            by_reading(name, "outside of its constraint", "inside"),
        )


def _outside(step: CompleteStep) -> str | None:
    """The first weight that is outside of its constraint after the step."""
    for variable, value in zip(step.model.variables, step.after, strict=True):
        constraint = getattr(variable, "constraint", None)
        if constraint is None:
            continue
        inside = np.array(constraint(tf.constant(value)))
        if not close_to(inside, value, CONSTRAINT):
            return str(variable.path)
    return None


def _reproduces(steps: list[CompleteStep], optimizer: keras.Optimizer, constrained: bool) -> bool:
    """Whether an optimizer of these settings, from a fresh state, gives the weights seen."""
    variables = steps[0].model.variables
    positions = [p for p in steps[0].sources if p >= 0]
    copies = []
    for position in positions:
        copy = keras.Variable(steps[0].before[position], dtype=variables[position].dtype)
        constraint = getattr(variables[position], "constraint", None)
        copy.constraint = constraint if constrained else None
        copies.append(copy)
    fresh = copy_of(optimizer, copies)
    for step in steps:
        fresh.apply(constants(step.gradients), copies)
        for position, copy in zip(positions, copies, strict=True):
            if not close_to(np.array(copy), step.after[position], UPDATE):
                return False
    return True


def _descent(steps: list[CompleteStep]) -> float | None:
    """The rate at which plain gradient descent gives the new weights; None where none does."""
    rates = []
    for step in steps:
        for position, gradient in zip(step.sources, step.gradients, strict=True):
            if gradient is None or position < 0:
                continue
            moved = (step.before[position] - step.after[position]).astype(np.float64)
            rate = _rate(moved, gradient)
            if not each_close(moved, rate * gradient, DESCENT):
                return None
            rates.append(rate)
    middle = float(np.median(rates)) if rates else 0.0
    return middle if middle > 0 and each_close(rates, middle, DESCENT_RATE) else None


def _rate(moved: np.ndarray, gradient: np.ndarray) -> float:
    """The factor that brings a gradient nearest to a move (least squares)."""
    square = float((gradient.astype(np.float64) ** 2).sum())
    return float((moved * gradient).sum() / max(square, TINY_NORM))
