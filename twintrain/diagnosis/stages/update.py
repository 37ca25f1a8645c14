"""Stage 'update': which variables are moved, and whether the optimizer alone gives the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from twintrain.diagnosis.replay.compare import close_to, each_close, largest, trainable_positions
from twintrain.diagnosis.replay.tolerances import LEARNING_RATE, UPDATE
from twintrain.diagnosis.replay.updates import (
    NOT_DECAYED,
    inner,
    replay_from_start,
    replay_update,
    settings,
    updates_of,
)
from twintrain.diagnosis.result import Replay
from twintrain.diagnosis.stages.changes import change_of_weight, changes_differ
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.lockstep_tables import aligned
from twintrain.diagnosis.stages.manual_update import check_manual_update
from twintrain.diagnosis.stages.optimizer_wording import written
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, Applied, CompleteStep
from twintrain.diagnosis.watch.weight_order import counted_weights

# Steps in which two optimizers must part, if their settings matter.
_TRIED = 12


@looks_for("trainable_flags")
def check_trainable(pair: Pair) -> bool:
    """Compare the variables that move; a variable counts that one side gives no gradient."""
    fit, loop = (_moved(side) for side in pair.sides)
    if fit == loop or not fit or not loop:
        return True
    first = {side.name: side.close[0] for side in pair.sides if side.close}
    if len(first) < 2 or not aligned(first[FIT], first[LOOP]):
        return False  # positions in one model are not those in the other
    sets = {FIT: fit, LOOP: loop}
    at_fault = _who_leaves_out(pair, sets)
    other = pair.other(at_fault).name
    quantities = (
        ("variables that move", len(sets[at_fault]), len(sets[other])),
        ("stay, but move on the other side", sets[other] - sets[at_fault], "none"),
        ("move, but stay on the other side", sets[at_fault] - sets[other], "none"),
    )
    evidence = [
        by_reading(what, _named(pair, found) if isinstance(found, set) else found, right)
        for what, found, right in quantities
        if found
    ]
    pair.findings.name_cause("trainable_flags", at_fault, 0, *evidence)
    return True


def _who_leaves_out(pair: Pair, sets: dict[str, set[int]]) -> str:
    """The side that takes no gradient of a variable its model has as trainable; else the loop,
    because fit is what it is held against.
    """
    lacking = {
        side.name: bool({*trainable_positions(side.close[0].model)} - sets[side.name])
        for side in pair.sides
    }
    return FIT if lacking[FIT] and not lacking[LOOP] else LOOP


def _named(pair: Pair, positions: set[int]) -> str:
    variables = counted_weights(pair.loop.close[0].model)
    return ", ".join(str(variables[p].path) for p in sorted(positions) if 0 <= p < len(variables))


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
    if not all(side.updates() for side in pair.sides):
        for side in pair.sides:
            if not side.updates():
                check_manual_update(pair, side)
        return True
    for side in pair.sides:
        _check_replay(pair, side)
    for epoch in range(2):
        fit, loop = (_first_in(side, epoch) for side in pair.sides)
        if fit is not None and loop is not None and _compare(pair, fit, loop):
            break
    return True


def _first_in(side: Side, epoch: int) -> tuple[int, list[Applied]] | None:
    """The step of the first update in an epoch, and all from there on; None where there is none."""
    start = side.first_epoch if epoch else 0
    found = [
        (number, step.applied)
        for number, step in enumerate(side.steps)
        if number >= start and step.applied is not None
    ]
    return (found[0][0], [applied for _, applied in found]) if found else None


def _check_replay(pair: Pair, side: Side) -> None:
    """Does the optimizer alone give the new weights?"""
    for step in side.close:
        found = _not_by_optimizer(step)
        if found is not None:
            position, gap = found
            name = counted_weights(step.model)[position].path
            pair.findings.unexplained.append(
                f"{side.name}: {name} is changed by more than the optimizer (step "
                f"{step.number + 1}: by up to {gap:.3g} more)"
            )
            return


def _not_by_optimizer(step: CompleteStep) -> tuple[int, float] | None:
    """The first variable that its optimizer would have left with another value, and by how much."""
    replayed = replay_update(step)
    if replayed is None:
        return None
    for position in trainable_positions(step.model):
        observed, right = step.after[position], replayed[position]
        if not close_to(observed, right, UPDATE):
            return position, largest([observed], [right]) or 0.0
    return None


def _compare(pair: Pair, fit: tuple[int, list[Applied]], loop: tuple[int, list[Applied]]) -> bool:
    """Name `optimizer_differs` where class or hyperparameters do; whether nothing more is to be
    told of them.

    Args:
        pair: findings go here.
        fit: the step of its first update in an epoch, and the updates from there on.
        loop: the same.
    """
    (_, right_ones), (number, found_ones) = fit, loop
    first, other = found_ones[0], right_ones[0]
    found, right = _plain(settings(first.optimizer)), _plain(settings(other.optimizer))
    if right == found:
        return False
    if right["class"] != found["class"]:
        differing: list[str] = []
        readings = [by_reading("optimizer", found["class"], right["class"])]
    else:
        differing = sorted(k for k in {*right, *found} if right.get(k) != found.get(k))
        readings = [
            by_reading(f"optimizer {key}", _told(found.get(key)), _told(right.get(key)))
            for key in differing
        ]
    if not each_close(first.learning_rate, other.learning_rate, LEARNING_RATE):
        readings.append(by_reading("learning rate", first.learning_rate, other.learning_rate))
    replayed = _by_the_other(pair.loop, right_ones) if number == 0 else []
    if differing == [NOT_DECAYED] and not replayed:
        return False  # the same variables, in another order, have other numbers
    alike = found | {"class": ""} == right | {"class": ""}
    if alike and not replayed and _is_derived(first, other):
        return False  # a class of one's own that updates as the one it is made of
    if number == 0 and _does_by_hand(pair.loop, right_ones):
        return True
    pair.findings.name_cause(
        "optimizer_differs",
        LOOP,
        number,
        *replayed,
        *readings,
        fix=f"Make it {written(other, differing)}, as in keras_fit.",
    )
    return True


def _is_derived(a: Applied, b: Applied) -> bool:
    """Whether the class of one optimizer is derived from that of the other."""
    ours, theirs = type(inner(a.optimizer)), type(inner(b.optimizer))
    return issubclass(ours, theirs) or issubclass(theirs, ours)


def _by_the_other(side: Side, right: list[Applied]) -> list[Replay]:
    """The change of a weight in the first update that the other side's optimizer makes otherwise,
    given the same gradients from the start.
    """
    if any(hasattr(applied.optimizer, "inner_optimizer") for _, applied in side.updates()[:1]):
        return []
    updates = updates_of(side.steps[:_TRIED])
    for step, correct in replay_from_start(updates, right):
        close = next((c for c in side.close if c.after is step.after), None)
        replayed = None if close is None else replay_update(close)
        if close is not None and replayed is not None and changes_differ(close, replayed, correct):
            return change_of_weight(close.number, close, replayed, correct)
    return []


def _does_by_hand(side: Side, right: list[Applied]) -> bool:
    """Whether a side does by hand what its optimizer lacks beside the other's (it decays its
    weights, say): its steps are those of the other's, and not of its own alone.
    """
    close = {id(step.after): step for step in side.close}
    found = 0
    for step, correct in replay_from_start(updates_of(side.steps[:_TRIED]), right):
        seen = close.get(id(step.after))
        replayed = None if seen is None else replay_update(seen)
        if seen is None or replayed is None:
            continue
        if changes_differ(seen, seen.after, correct):
            return False
        found += changes_differ(seen, replayed, correct)
    return found > 0


def _told(setting: Any) -> Any:
    """A setting as it is shown; of variables, their numbers among those that are trained."""
    return f"numbers {', '.join(map(str, setting))}" if isinstance(setting, tuple) else setting


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """Settings without those that are off."""
    kept = {k: v for k, v in found.items() if v not in (None, 0, 0.0, False)}
    if "momentum" not in kept:
        kept.pop("nesterov", None)
    return kept


CHECKS = (check_trainable, check_optimizer)
