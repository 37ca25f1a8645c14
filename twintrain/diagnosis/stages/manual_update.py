"""A loop that updates its weights without a Keras optimizer: which update rule reproduces it?"""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.compare import close_to, each_close
from twintrain.diagnosis.replay.constraints import brought_inside
from twintrain.diagnosis.replay.tolerances import (
    DESCENT,
    DESCENT_RATE,
    MEDIAN_RATE,
    TINY_NORM,
    UPDATE,
)
from twintrain.diagnosis.replay.updates import replay_from_start, settings, updates_of
from twintrain.diagnosis.result import Replay
from twintrain.diagnosis.stages.changes import change_of_weight, differs
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.optimizer_wording import written
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.watch.trace import LOOP, Applied, Arrays, CompleteStep
from twintrain.diagnosis.watch.weight_order import counted_weights

# Steps over which a rule that starts fresh is replayed, and those from which plain descent is read.
_MOST, _TRIED = 100, 4


def check_manual_update(pair: Pair, side: Side) -> None:
    """Name what differs from the other side's optimizer, or say that no rule fits.

    The candidates: the other side's optimizer from a fresh state, with the constraints of the
    weights and without, and plain gradient descent.
    """
    steps = side.close[:_TRIED]
    if not steps or all(gradient is None for gradient in steps[0].gradients):
        pair.findings.unexplained.append(f"{side.name}: no gradients and no optimizer were seen")
        return
    applied = [step.applied for step in pair.other(side.name).steps if step.applied is not None]
    if applied and _follows(pair, side, applied):
        return
    rates = _descent(side.close)
    if rates is None:
        pair.findings.unexplained.append(
            f"{side.name}: no update rule that was tried gives its new weights"
        )
        return
    _compare_descent(pair, side, rates, applied)
    _check_constraints(pair, side, rates[0])


def _follows(pair: Pair, side: Side, applied: list[Applied]) -> bool:
    """Whether a side updates as the other side's optimizer does, but for constraints or where it
    starts anew; these are named.
    """
    for constrained in (True, False):
        wrong = _first_wrong(side, applied, constrained)
        if wrong is None:
            if not constrained:
                _check_constraints(pair, side, None)
            return True
        number, correct = wrong
        if number == side.first_epoch and _first_wrong(side, applied, constrained, number) is None:
            _name_reset(pair, side, number, correct, applied)
            return True
    return False


def _first_wrong(
    side: Side, applied: list[Applied], constrained: bool, start: int = 0
) -> tuple[int, Arrays] | None:
    """The first step that an optimizer which is fresh in step `start` would do otherwise, and its
    weights; None where it does all as they are.
    """
    updates = updates_of(side.steps[start : start + _MOST])
    numbers = {id(step.after): step.number for step in side.close}
    replayed = 0
    for step, weights in replay_from_start(updates, applied[start:], constrained=constrained):
        replayed += 1
        positions = updates[0].positions
        if step.after is not None and not all(
            close_to(weights[p], step.after[p], UPDATE) for p in positions
        ):
            return numbers.get(id(step.after), start), weights
    return None if replayed else (start, [])


def _name_reset(
    pair: Pair, side: Side, number: int, correct: Arrays, applied: list[Applied]
) -> None:
    """Name a state that starts anew with the second epoch."""
    step = next(step for step in side.close if step.number == number)
    _, anew = next(replay_from_start(updates_of(side.steps[number:]), applied[number:]))
    pair.findings.name_cause(
        "optimizer_state_reset",
        side.name,
        number,
        *change_of_weight(number, step, anew, correct),
        by_reading(f"updates that the state holds in step {number + 1}", 0, number),
        fix="Keep what the update rule remembers (moments, the count of steps) over the epochs.",
    )


def _compare_descent(pair: Pair, side: Side, rates: list[float], applied: list[Applied]) -> None:
    """Hold plain descent against the other side's optimizer.

    Args:
        pair: findings go here.
        side: that descends.
        rates: in each of its close steps.
        applied: the updates of the other side; empty where none was seen.
    """
    first = applied[0] if applied else None
    wanted = "none seen" if first is None else settings(first.optimizer)["class"]
    if first is not None and wanted == "SGD" and not _remembers(first):
        _compare_rates(pair, side, rates, applied)
        return
    pair.findings.name_cause(
        "optimizer_differs",
        LOOP,
        0,
        *(_replayed(side, rates[0], applied) if applied else []),
        by_reading("optimizer", "gradient descent by hand", wanted),
        by_reading("learning rate", rates[0], first.learning_rate if first else 0.0),
        fix=f"Update with {written(first)}, as in {pair.other(side.name).name}." if first else None,
    )


def _compare_rates(pair: Pair, side: Side, rates: list[float], applied: list[Applied]) -> None:
    """Hold the rates of plain descent against those of an optimizer that does the same."""
    steps = [step for step in side.close if step.number < len(applied)]
    right = [applied[step.number].learning_rate for step in steps]
    varies = [not each_close(seen, float(np.median(seen)), DESCENT_RATE) for seen in (rates, right)]
    if not any(varies) and each_close(np.median(rates), np.median(right), MEDIAN_RATE):
        return
    for step, found, wanted in zip(steps, rates, right, strict=False):
        if any(varies) and each_close(found, wanted, DESCENT_RATE):
            continue
        other = pair.other(side.name)
        # Of the two, the one whose rate does not vary lacks the schedule.
        at_fault = LOOP if varies == [False, False] or varies[1] else other.name
        observed, correct = (found, wanted) if at_fault == side.name else (wanted, found)
        ids = "learning_rate_schedule" if any(varies) else "optimizer_differs"
        replayed = _replayed(side, found, applied) if at_fault == side.name else []
        pair.findings.name_cause(
            ids,
            at_fault,
            step.number,
            *replayed,
            by_reading(f"learning rate in step {step.number + 1}", observed, correct),
            fix=f"Update with the rate of {pair.other(at_fault).name}: {correct:.6g} in step "
            f"{step.number + 1}.",
        )
        return


def _remembers(applied: Applied) -> bool:
    """Whether a step of descent depends on those before it."""
    return bool(settings(applied.optimizer).get("momentum"))


def _replayed(side: Side, rate: float, applied: list[Applied]) -> list[Replay]:
    """The change of a weight in the first step that the other side's optimizer makes otherwise."""
    updates = updates_of(side.steps[:_TRIED])
    for step, correct in replay_from_start(updates, applied):
        close = next((c for c in side.close if c.after is step.after), None)
        if close is not None and differs(close, _descended(close, rate), correct):
            return change_of_weight(close.number, close, _descended(close, rate), correct)
    return []


def _descended(step: CompleteStep, rate: float) -> Arrays:
    """All of the model's weights after plain descent, without constraints."""
    after = [value.copy() for value in step.before]
    for position, gradient in zip(step.sources, step.gradients, strict=True):
        if position >= 0 and gradient is not None:
            after[position] = step.before[position] - rate * gradient
    return after


def _check_constraints(pair: Pair, side: Side, rate: float | None) -> None:
    """Name a weight that is outside of its constraint after a step.

    Args:
        pair: findings go here.
        side: that updates by hand.
        rate: of plain descent, where it is that.
    """
    found = _outside(side.close)
    if found is None:
        return
    step, position = found
    variable = counted_weights(step.model)[position]
    observed = step.after[position]
    inside = brought_inside(variable, observed)
    assert inside is not None
    index = np.unravel_index(int(np.abs(inside - observed).argmax()), observed.shape)
    where = ", ".join(str(int(i)) for i in index)
    replayed = observed if rate is None else _descended(step, rate)[position]
    pair.findings.name_cause(
        "constraints_not_applied",
        side.name,
        step.number,
        by_replay(
            f"{variable.path}[{where}] after step {step.number + 1} "
            f"({type(variable.constraint).__name__})",
            observed[index],
            replayed[index],
            inside[index],
        ),
    )


def _outside(steps: list[CompleteStep]) -> tuple[CompleteStep, int] | None:
    """The first step after which a weight is outside of its constraint, and the weight."""
    for step in steps:
        for position, variable in enumerate(counted_weights(step.model)):
            if brought_inside(variable, step.after[position]) is not None:
                return step, position
    return None


def _descent(steps: list[CompleteStep]) -> list[float] | None:
    """Per step, the rate at which plain gradient descent gives the new weights; None where none
    does.
    """
    found = []
    for step in steps:
        rates = []
        for position, gradient in zip(step.sources, step.gradients, strict=True):
            if gradient is None or position < 0 or not gradient.any():
                continue
            moved = (step.before[position] - step.after[position]).astype(np.float64)
            rate = _rate(moved, gradient)
            if not each_close(moved, rate * gradient, DESCENT):
                return None
            rates.append(rate)
        middle = float(np.median(rates)) if rates else 0.0
        if middle <= 0 or not each_close(rates, middle, DESCENT_RATE):
            return None
        found.append(middle)
    return found


def _rate(moved: np.ndarray, gradient: np.ndarray) -> float:
    """The factor that brings a gradient nearest to a move (least squares)."""
    square = float((gradient.astype(np.float64) ** 2).sum())
    return float((moved * gradient).sum() / max(square, TINY_NORM))
