"""Stage 'update', the state of the optimizer: does it go on from one update to the next?"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import keras
import numpy as np

from twintrain.diagnosis.replay.updates import (
    fresh_state,
    has_schedule,
    inner,
    replay_update,
    settings,
)
from twintrain.diagnosis.result import Evidence
from twintrain.diagnosis.stages.changes import change_of_weight, differs
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, Applied, Arrays, CompleteStep, Step, value_of

EPOCH, WITHIN = "at the start of the second epoch", "within an epoch"


class Reset(NamedTuple):
    """An optimizer that begins anew.

    Attributes:
        number: of the step whose update is its first, from 0.
        made: updates made before that one, by the count of the optimizer, and by the trace.
        evidence: that the update is another than it would have been.
    """

    number: int
    made: tuple[int, int]
    evidence: list[Evidence]


class _Update(NamedTuple):
    number: int
    step: Step
    applied: Applied


@looks_for("optimizer_state_reset")
def check_state(pair: Pair) -> bool:
    """Does the optimizer of one side start anew where the other's goes on?"""
    fit, loop = (_resets(side) for side in pair.sides)
    if fit is None or loop is None:
        return False
    for side, own, others in ((pair.fit, fit, loop), (pair.loop, loop, fit)):
        alone = [reset for kind, reset in own.items() if kind not in others]
        if alone:
            _name(pair, side, min(alone, key=lambda reset: reset.number))
            return True
    return True


def _name(pair: Pair, side: Side, reset: Reset) -> None:
    optimizer = _updates(side)[0].applied.optimizer
    made = f"keras.optimizers.{type(inner(optimizer)).__name__}"
    pair.findings.name_cause(
        "optimizer_state_reset",
        side.name,
        reset.number,
        *reset.evidence,
        by_reading(
            f"updates that the optimizer counts before step {reset.number + 1}", *reset.made
        ),
        fix=(
            "Call compile once, before the loop over epochs; fit goes on with the state it has."
            if side.name == FIT
            else f"Make {made}(...) once, before the loops over epochs and steps."
        ),
    )


def _updates(side: Side) -> list[_Update]:
    return [
        _Update(number, step, step.applied)
        for number, step in enumerate(side.steps)
        if step.applied is not None
    ]


def _resets(side: Side) -> dict[str, Reset] | None:
    """The first start anew of each kind that changes an update; None where there are not two
    updates.
    """
    updates = _updates(side)
    if len(updates) < 2:
        return None
    second = next((u.number for u in updates if u.number >= side.first_epoch), None)
    close = {step.number: step for step in side.close}
    found: dict[str, Reset] = {}
    for made, (before, update) in enumerate(itertools.pairwise(updates), start=1):
        kind = EPOCH if update.number == second else WITHIN
        if kind in found or not _starts_anew(updates, before, update):
            continue
        evidence = _effect(before, update, close.get(update.number))
        if evidence is not None:
            counts = (update.applied.iterations, made)
            found[kind] = Reset(update.number, counts, evidence)
    return found


def _starts_anew(updates: list[_Update], before: _Update, update: _Update) -> bool:
    old, new = before.applied, update.applied
    if new.optimizer is not old.optimizer:
        # Two that take turns keep what they have, and another kind of optimizer is a change of
        # settings.
        later = [u.applied.optimizer for u in updates if u.number >= update.number]
        earlier = [u.applied.optimizer for u in updates if u.number <= before.number]
        turns = any(o is old.optimizer for o in later) or any(o is new.optimizer for o in earlier)
        return (
            not turns and new.iterations == 0 and settings(new.optimizer) == settings(old.optimizer)
        )
    if new.iterations < old.iterations:
        return True
    after = before.step.optimizer_after
    return bool(new.state and after and _slots(new) and _is_fresh(update.step, new.state)) and (
        not _is_fresh(before.step, after or [])
    )


def _slots(applied: Applied) -> list[int]:
    """Positions among the optimizer's variables of what it keeps per weight."""
    aside = _counters(applied.optimizer)
    return [i for i in range(len(applied.optimizer.variables)) if i not in aside]


def _counters(optimizer: keras.Optimizer) -> list[int]:
    """Positions of the count of updates, the rate, and what else is one number for all weights."""
    return [i for i, v in enumerate(optimizer.variables) if v.shape == ()]


def _is_fresh(step: Step, state: Arrays) -> bool:
    """Whether all that is kept per weight is as in a new optimizer."""
    fresh = fresh_state(step)
    if fresh is None or step.applied is None or len(fresh) != len(state):
        return False
    return all(np.array_equal(fresh[i], state[i]) for i in _slots(step.applied))


def _effect(before: _Update, update: _Update, step: CompleteStep | None) -> list[Evidence] | None:
    """Evidence that the update is another than from the state that was left; None where it is not.

    Where the state was not kept, what an optimizer holds says whether it acts.
    """
    carried = before.step.optimizer_after
    if not carried and update.applied.optimizer is not before.applied.optimizer:
        carried = [value_of(v) for v in before.applied.optimizer.variables]
    if step is None or not update.applied.state or not carried:
        acts = _slots(update.applied) or has_schedule(update.applied.optimizer)
        return [] if acts else None
    observed = replay_update(step)
    correct = replay_update(step, state=_with_rate_of(update.applied, carried))
    if observed is None or correct is None or not differs(step, observed, correct):
        return None
    fresh = fresh_state(update.step)
    anew = fresh and replay_update(step, state=_with_rate_of(update.applied, fresh))
    if not anew or differs(step, observed, anew):
        anew = observed  # only its count begins anew
    return list(change_of_weight(update.number, step, anew, correct))


def _with_rate_of(applied: Applied, state: Arrays) -> Arrays:
    """A state with the learning rate that the optimizer had in this update."""
    rate = getattr(inner(applied.optimizer), "_learning_rate", None)
    if len(state) != len(applied.state):
        return state
    return [
        own if variable is rate else other
        for variable, own, other in zip(
            applied.optimizer.variables, applied.state, state, strict=True
        )
    ]


CHECKS = (check_state,)
