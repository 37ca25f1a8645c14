"""Stage 'update', the learning rate: step by step as the optimizers had it."""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.tolerances import LEARNING_RATE, RATE_VARIES
from twintrain.diagnosis.stages.findings import by_reading
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
    found = _first_other(fit, loop)
    if found is not None:
        _name(pair, fit, loop, *found)
    return True


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
    number = step + epoch * len(observed[0])
    evidence = [
        by_reading(
            f"learning rate in step {number + 1}", observed[epoch][step], correct[epoch][step]
        )
    ]
    if not any(varies.values()):
        pair.findings.name_cause("optimizer_differs", at_fault, number, *evidence)
        return
    evidence.append(by_reading("at the end of the first epoch", observed[0][-1], correct[0][-1]))
    pair.findings.name_cause("learning_rate_schedule", at_fault, number, *evidence)


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
