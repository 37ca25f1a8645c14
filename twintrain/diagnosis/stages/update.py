"""Stage 'update': which variables are moved, and whether the optimizer alone gives the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from twintrain.diagnosis.replay.compare import close_to, trainable_positions
from twintrain.diagnosis.replay.tolerances import UPDATE
from twintrain.diagnosis.replay.updates import replay_update, settings
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.manual_update import check_manual_update
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import LOOP, CompleteStep


@looks_for("trainable_flags")
def check_trainable(pair: Pair) -> bool:
    """Compare the variables that move."""
    fit, loop = (_moved(side) for side in pair.sides)
    if fit == loop or not fit or not loop:
        return True
    variables = pair.loop.steps[0].model.variables
    names = [variables[p].path for p in sorted(fit ^ loop) if 0 <= p < len(variables)]
    pair.findings.name_cause(
        "trainable_flags",
        LOOP,
        0,
        by_reading("variables that move", len(loop), len(fit)),
        by_reading("the difference", ", ".join(names), ""),
    )
    return True


def _moved(side: Side) -> set[int]:
    moved: set[int] = set()
    for step in side.close:
        moved |= _moved_in(step)
    return moved


def _moved_in(step: CompleteStep) -> set[int]:
    """What the optimizer was given a gradient for; without an optimizer, what changed."""
    if step.applied is not None:
        given = zip(step.applied.variables, step.applied.gradients, strict=False)
        return {position for position, gradient in given if gradient is not None}
    positions = {*trainable_positions(step.model), *(p for p in step.sources if p >= 0)}
    return {p for p in positions if not np.array_equal(step.before[p], step.after[p])}


@looks_for("optimizer_differs", "constraints_not_applied")
def check_optimizer(pair: Pair) -> bool:
    """Compare the optimizers, and replay their updates; a loop may do without one."""
    fit, loop = (side.updates() for side in pair.sides)
    if not fit or not loop:
        for side in pair.sides:
            if not side.updates():
                check_manual_update(pair, side)
        return True
    for side in pair.sides:
        _check_replay(pair, side)
    _compare(pair, settings(fit[0][1].optimizer), settings(loop[0][1].optimizer))
    return True


def _check_replay(pair: Pair, side: Side) -> None:
    """Does the optimizer alone give the new weights?"""
    for step in side.close:
        position = _not_by_optimizer(step)
        if position is not None:
            name = step.model.variables[position].path
            pair.findings.unexplained.append(
                f"{side.name}: {name} is changed by more than the optimizer (step "
                f"{step.number + 1})"
            )
            return


def _not_by_optimizer(step: CompleteStep) -> int | None:
    """The first variable that its optimizer would have left with another value."""
    replayed = replay_update(step)
    if replayed is None:
        return None
    for position in trainable_positions(step.model):
        if not close_to(step.after[position], replayed[position], UPDATE):
            return position
    return None


def _compare(pair: Pair, fit: dict[str, Any], loop: dict[str, Any]) -> None:
    """Name `optimizer_differs` where class or hyperparameters do."""
    right, found = _plain(fit), _plain(loop)
    if right == found:
        return
    if right["class"] != found["class"]:
        evidence = [by_reading("optimizer", found["class"], right["class"])]
    else:
        differing = [k for k in {*right, *found} if right.get(k) != found.get(k)]
        evidence = [
            by_reading(f"optimizer {key}", found.get(key), right.get(key))
            for key in sorted(differing)
        ]
    pair.findings.name_cause("optimizer_differs", LOOP, 0, *evidence)


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """Settings without those that are off."""
    kept = {k: v for k, v in found.items() if v not in (None, 0, 0.0, False)}
    if "momentum" not in kept:
        kept.pop("nesterov", None)
    return kept


CHECKS = (check_trainable, check_optimizer)
