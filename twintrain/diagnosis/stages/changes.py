"""Evidence from one update made again: the weight in which the mistake shows most."""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.compare import close_to, trainable_positions
from twintrain.diagnosis.replay.tolerances import CHANGE, CHANGE_OF_SIZE, UPDATE
from twintrain.diagnosis.result import Replay
from twintrain.diagnosis.stages.findings import by_replay
from twintrain.diagnosis.watch.trace import Arrays, CompleteStep, Step
from twintrain.diagnosis.watch.weight_order import counted_weights


def differs(step: Step, replayed: Arrays, correct: Arrays) -> bool:
    """Whether two replays of a step leave some trainable weight apart."""
    return any(not close_to(replayed[p], correct[p], UPDATE) for p in _moving(step, replayed))


def changes_differ(step: CompleteStep, replayed: Arrays, correct: Arrays) -> bool:
    """Whether two replays change some trainable weight otherwise, be it by little beside the
    weight.
    """
    for position in _moving(step, replayed):
        before, a, b = step.before[position], replayed[position], correct[position]
        if not a.size or not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue
        allowed = CHANGE * np.abs(a - before).max() + CHANGE_OF_SIZE * np.abs(before).max()
        if np.abs(a - b).max() > allowed:
            return True
    return False


def change_of_weight(
    number: int, step: Step, replayed: Arrays | None, correct: Arrays | None
) -> list[Replay]:
    """By how much the step changes the weight in which both replays differ most; empty where one of
    them is missing, or they do not differ.

    Args:
        number: of the step, from 0.
        step: one that kept its weights.
        replayed: all of the model's weights after the step, with the mistake.
        correct: the same without it.
    """
    if replayed is None or correct is None or step.before is None or step.after is None:
        return []
    gaps = {p: np.abs(replayed[p] - correct[p]) for p in _moving(step, replayed)}
    gaps = {p: gap for p, gap in gaps.items() if gap.size and np.isfinite(gap).any()}
    if not gaps:
        return []
    position = max(gaps, key=lambda p: float(np.nanmax(gaps[p])))
    index = np.unravel_index(int(np.nanargmax(gaps[position])), gaps[position].shape)
    if not gaps[position][index]:
        return []
    where = "[" + ", ".join(str(int(i)) for i in index) + "]" if index else ""
    before = step.before[position][index]
    observed, again, right = (
        float(after[position][index]) - float(before) for after in (step.after, replayed, correct)
    )
    name = counted_weights(step.model)[position].path
    return [by_replay(f"change of {name}{where} in step {number + 1}", observed, again, right)]


def _moving(step: Step, weights: Arrays) -> list[int]:
    """Trainable weights of floating numbers."""
    return [p for p in trainable_positions(step.model) if weights[p].dtype.kind == "f"]
