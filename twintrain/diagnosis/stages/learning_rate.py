"""Stage 'update', the learning rate: step by step as the optimizers had it."""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.tolerances import LEARNING_RATE, RATE_VARIES
from twintrain.diagnosis.replay.updates import has_schedule, replay_update
from twintrain.diagnosis.result import Evidence, Replay
from twintrain.diagnosis.stages.changes import change_of_weight
from twintrain.diagnosis.stages.findings import by_reading, say
from twintrain.diagnosis.stages.optimizer_wording import rate_written
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP

Epochs = list[list[float]]


@looks_for("learning_rate_schedule", "optimizer_differs")
def check_rates(pair: Pair) -> bool:
    """Compare the learning rates of the two sides over both epochs."""
    fit, loop = (_rates(side) for side in pair.sides)
    if not fit[0] or not loop[0]:
        return True
    _leave_out_what_follows_a_reset(pair, fit, loop)
    found = _first_other(fit, loop)
    if found is not None:
        _name(pair, fit, loop, *found)
    return True


def _leave_out_what_follows_a_reset(pair: Pair, fit: Epochs, loop: Epochs) -> None:
    """A schedule that starts over with its optimizer is no mistake of its own."""
    for cause in pair.findings.causes:
        if cause.id == "optimizer_state_reset" and cause.step is not None:
            side = pair.side(cause.side)
            epoch = int(cause.step >= side.first_epoch)
            rates = fit if side is pair.fit else loop
            del rates[epoch][sum(number < cause.step for number in _steps_of(side, epoch)) :]
            if epoch == 0:
                rates[1].clear()


def _first_other(fit: Epochs, loop: Epochs) -> tuple[int, int] | None:
    """Epoch, and step of the epoch, in which the rates first differ."""
    for epoch, (ours, theirs) in enumerate(zip(fit, loop, strict=True)):
        for step, (a, b) in enumerate(zip(ours, theirs, strict=False)):
            if not each_close(a, b, LEARNING_RATE):
                return epoch, step
    return None


def _name(pair: Pair, fit: Epochs, loop: Epochs, epoch: int, step: int) -> None:
    varies = {FIT: _varies(fit), LOOP: _varies(loop)}
    at_fault = FIT if varies[LOOP] and not varies[FIT] else LOOP
    observed, correct = (fit, loop) if at_fault == FIT else (loop, fit)
    side, other = pair.side(at_fault), pair.other(at_fault)
    number = _steps_of(side, epoch)[step]
    right = correct[epoch][step]
    evidence: list[Evidence] = [
        *_replayed(side, number, right),
        by_reading(f"learning rate in step {number + 1}", observed[epoch][step], right),
    ]
    if not any(varies.values()):
        fix = f"Give the optimizer learning_rate={say(right)}, as in {other.name}."
        pair.findings.name_cause("optimizer_differs", at_fault, number, *evidence, fix=fix)
        return
    if observed[0] and correct[0]:
        evidence.append(
            by_reading("at the end of the first epoch", observed[0][-1], correct[0][-1])
        )
    pair.findings.name_cause(
        "learning_rate_schedule", at_fault, number, *evidence, fix=_fix(other, correct, right)
    )


def _replayed(side: Side, number: int, rate: float) -> list[Replay]:
    """The change of a weight in a step, by the rate it had and by the other one."""
    step = next((step for step in side.close if step.number == number), None)
    if step is None:
        return []
    return change_of_weight(number, step, replay_update(step), replay_update(step, rate=rate))


def _fix(other: Side, rates: Epochs, right: float) -> str | None:
    """The other side's schedule, or the rates it had."""
    applied = next((step.applied for step in other.steps if step.applied is not None), None)
    if applied is not None and has_schedule(applied.optimizer):
        return f"Give the optimizer {rate_written(applied)}, as in {other.name}."
    if not rates[1] or not rates[0]:
        return None
    return (
        f"Set the learning rate as {other.name} does: {say(rates[0][0])} in the first step, "
        f"{say(rates[0][-1])} at the end of the first epoch, {say(rates[1][-1])} at the end of the "
        "second."
    )


def _steps_of(side: Side, epoch: int) -> list[int]:
    """Numbers of the steps of an epoch in which there was an update."""
    return [
        number
        for number, step in enumerate(side.steps)
        if step.applied is not None and int(number >= side.first_epoch) == epoch
    ]


def _rates(side: Side) -> Epochs:
    """Per epoch, the rate of every update."""
    epochs: Epochs = [[], []]
    for number, step in enumerate(side.steps):
        if step.applied is not None:
            epochs[int(number >= side.first_epoch)].append(step.applied.learning_rate)
    return epochs


def _varies(epochs: Epochs) -> bool:
    joined = np.array(epochs[0] + epochs[1])
    return bool(np.ptp(joined) > RATE_VARIES * np.abs(joined).max())


CHECKS = (check_rates,)
