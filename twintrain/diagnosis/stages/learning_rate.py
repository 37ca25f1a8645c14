"""Stage 'update', the learning rate: step by step as the optimizers had it."""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.stages.findings import FIT, LOOP, Pair, Side, shown


def check_rates(pair: Pair) -> None:
    """Compare the learning rates of the two sides over both epochs."""
    pair.ruled_out.add("learning_rate_schedule")
    fit, loop = (_rates(side) for side in pair.sides)
    if not fit[0] or not loop[0]:
        return
    varies = {FIT: _varies(fit), LOOP: _varies(loop)}
    for epoch in range(2):
        count = min(len(fit[epoch]), len(loop[epoch]))
        for step in range(count):
            if np.isclose(fit[epoch][step], loop[epoch][step], rtol=1e-4, atol=0):
                continue
            _name(pair, varies, epoch, step, fit, loop)
            return


def _name(
    pair: Pair,
    varies: dict[str, bool],
    epoch: int,
    step: int,
    fit: list[list[float]],
    loop: list[list[float]],
) -> None:
    at_fault = FIT if varies[LOOP] and not varies[FIT] else LOOP
    observed, correct = (fit, loop) if at_fault == FIT else (loop, fit)
    number = step + epoch * len(observed[0])
    evidence = [
        shown(
            f"learning rate in step {number + 1}",
            observed[epoch][step],
            observed[epoch][step],
            correct[epoch][step],
        )
    ]
    if not any(varies.values()):
        pair.name_cause("optimizer_differs", at_fault, "update", number, *evidence)
        return
    ends = [series[-1] if series else float("nan") for series in (observed[0], correct[0])]
    evidence.append(shown("at the end of the first epoch", ends[0], ends[0], ends[1]))
    pair.name_cause("learning_rate_schedule", at_fault, "update", number, *evidence)


def _rates(side: Side) -> list[list[float]]:
    epochs: list[list[float]] = [[], []]
    for number, step in enumerate(side.steps):
        if step.applied is not None:
            epochs[int(number >= side.first_epoch)].append(step.applied.learning_rate)
    return epochs


def _varies(epochs: list[list[float]]) -> bool:
    joined = np.array(epochs[0] + epochs[1])
    return bool(np.ptp(joined) > 1e-6 * np.abs(joined).max())
