"""A loop that updates its weights without a Keras optimizer: which update rule reproduces it?"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.updates import copy_of, settings
from twintrain.diagnosis.stages.findings import LOOP, Pair, Side, close_to, shown
from twintrain.diagnosis.watch.trace import Step


def check_hand_update(pair: Pair, side: Side) -> None:
    """Name what differs from the other side's optimizer, or say that no rule fits.

    The candidates: the other side's optimizer from a fresh state, with the constraints of the
        weights and without,
    and plain gradient descent.
    """
    steps = [side.steps[i] for i in side.close[:4]]
    other = pair.loop if side is pair.fit else pair.fit
    applied = next((step.applied for step in other.steps if step.applied is not None), None)
    if not steps or not any(g is not None for g in steps[0].gradients):
        pair.unexplained.append(f"{side.name}: no gradients and no optimizer were seen")
        return
    if applied is not None:
        for constrained in (True, False):
            if _reproduces(steps, applied.optimizer, constrained):
                if not constrained and _matters(steps[0]):
                    name = _constrained(steps[0])
                    pair.name_cause(
                        "constraints_not_applied",
                        side.name,
                        "update",
                        0,
                        shown(
                            name, "outside of its constraint", "outside of its constraint", "inside"
                        ),
                    )
                return
    rate = _descent(steps)
    if rate is None:
        pair.unexplained.append(f"{side.name}: no update rule that was tried gives its new weights")
        return
    wanted = settings(applied.optimizer)["class"] if applied is not None else "none seen"
    right = applied.learning_rate if applied is not None else 0.0
    if wanted != "SGD" or not np.isclose(rate, right, rtol=1e-3):
        pair.name_cause(
            "optimizer_differs",
            side.name if side.name == LOOP else other.name,
            "update",
            0,
            shown("optimizer", "gradient descent by hand", "SGD without momentum", wanted),
            shown("learning rate", rate, rate, right),
        )
    if _matters(steps[0]):
        pair.name_cause(
            "constraints_not_applied",
            side.name,
            "update",
            0,
            shown(
                _constrained(steps[0]),
                "outside of its constraint",
                "outside of its constraint",
                "inside",
            ),
        )


def _reproduces(steps: list[Step], optimizer: keras.Optimizer, constrained: bool) -> bool:
    model = steps[0].model
    assert steps[0].before is not None
    positions = [p for p in steps[0].sources if p >= 0]
    copies = []
    for position in positions:
        copy = keras.Variable(steps[0].before[position], dtype=model.variables[position].dtype)
        copy.constraint = (
            getattr(model.variables[position], "constraint", None) if constrained else None
        )
        copies.append(copy)
    fresh = copy_of(optimizer, copies)
    for step in steps:
        fresh.apply([None if g is None else tf.constant(g) for g in step.gradients], copies)
        assert step.after is not None
        if not all(
            close_to(np.array(c), step.after[p], 1e-4, 1e-6)
            for p, c in zip(positions, copies, strict=True)
        ):
            return False
    return True


def _descent(steps: list[Step]) -> float | None:
    """The rate at which plain gradient descent gives the new weights; None where none does."""
    rates = []
    for step in steps:
        assert step.before is not None
        assert step.after is not None
        for position, gradient in zip(step.sources, step.gradients, strict=True):
            if gradient is None or position < 0:
                continue
            moved = (step.before[position] - step.after[position]).astype(np.float64)
            rate = float(
                (moved * gradient).sum()
                / max(float((gradient.astype(np.float64) ** 2).sum()), 1e-30)
            )
            if not np.allclose(moved, rate * gradient, rtol=1e-2, atol=1e-6):
                return None
            rates.append(rate)
    middle = float(np.median(rates)) if rates else 0.0
    return middle if middle > 0 and np.allclose(rates, middle, rtol=1e-2) else None


def _matters(step: Step) -> bool:
    return bool(_constrained(step))


def _constrained(step: Step) -> str:
    """The first weight that is outside of its constraint after the step."""
    assert step.after is not None
    for variable, value in zip(step.model.variables, step.after, strict=True):
        constraint = getattr(variable, "constraint", None)
        if constraint is not None and not close_to(
            np.array(constraint(tf.constant(value))), value, 1e-5, 1e-6
        ):
            return str(variable.path)
    return ""
