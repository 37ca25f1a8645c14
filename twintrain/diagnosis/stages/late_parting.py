"""Stage 'update', in epochs that were run but not watched step by step: why the sides part late.

Before the epoch they part in their weights were equal, and so was all that a rule can have gone by.
What is read here is what one of them changed for this epoch and the other did not.
"""

from __future__ import annotations

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import each_close, weight_positions
from twintrain.diagnosis.replay.parting import Parting
from twintrain.diagnosis.replay.tolerances import LEARNING_RATE, RATE_VARIES
from twintrain.diagnosis.stages.findings import by_reading, say
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import FIT, LOOP

Rates = list[tuple[float, ...]]
# Epochs whose steps are watched: what differs there is told by these.
_WATCHED = 2
_MOST_NAMED = 3
# Callbacks of Keras that change the rate.
_CHANGES_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


@looks_for("learning_rate_schedule", "trainable_flags")
def check_late_parting(pair: Pair, runs: dict[str, Milestones], apart: Parting | None) -> bool:
    """Name the learning rate, or the variables that move, where they are what the sides part by:
    the same in every epoch before, and other ones in this one.

    Args:
        pair: findings go here.
        runs: per side, a training of as many epochs.
        apart: where their weights part.
    """
    if apart is None or apart.epoch <= _WATCHED:
        return False
    if any(len(run.states) <= apart.epoch for run in runs.values()):
        return False
    _compare_rates(pair, runs, apart.epoch)
    _compare_moved(pair, runs, apart.epoch)
    return True


def _compare_rates(pair: Pair, runs: dict[str, Milestones], epoch: int) -> None:
    fit, loop, place = runs[FIT].rates, runs[LOOP].rates, epoch - 1
    if not all(_alike(fit[k], loop[k]) for k in range(1, place)) or _alike(fit[place], loop[place]):
        return
    if not fit[place] or not loop[place]:
        return
    if not all(run.begun[place] for run in runs.values()) and _may_be_late(fit, loop, place):
        return
    at_fault = FIT if _varies(loop) and not _varies(fit) else LOOP
    observed, right = (fit, loop) if at_fault == FIT else (loop, fit)
    pair.findings.name_cause(
        "learning_rate_schedule",
        at_fault,
        None,
        by_reading(f"learning rate in epoch {epoch}", _said(observed[place]), _said(right[place])),
        by_reading("in the epoch before", _said(observed[place - 1]), _said(right[place - 1])),
        fix=_rule(pair, at_fault, epoch, _said(right[place])),
    )


def _rule(pair: Pair, at_fault: str, epoch: int, rate: str) -> str:
    """When the other side changes its rate."""
    other = pair.other(at_fault)
    given = [
        type(callback).__name__
        for call in other.trace.fits
        for callback in np.atleast_1d(call.arguments.get("callbacks") or [])
        if isinstance(callback, _CHANGES_RATE)
    ]
    by = f", by its {' and '.join(given)}" if given else ""
    return f"Change the rate when {other.name} does{by}: it is {rate} in epoch {epoch}."


def _alike(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether as many optimizers have the same rates; of none nothing is known."""
    return bool(one) and len(one) == len(other) and bool(each_close(one, other, LEARNING_RATE))


def _may_be_late(fit: Rates, loop: Rates, place: int) -> bool:
    """Whether one side's rates may be those of the other, looked at an epoch too early: no pass
    over data was seen to begin.
    """
    later = [rates[place + 1] if place + 1 < len(rates) else () for rates in (fit, loop)]
    return not all(later) or _alike(fit[place], later[1]) or _alike(later[0], loop[place])


def _varies(rates: Rates) -> bool:
    known = np.array([rate for rate in rates if len(rate) == len(rates[-1])])
    return bool((np.ptp(known, axis=0) > RATE_VARIES * np.abs(known).max(axis=0)).any())


def _said(rates: tuple[float, ...]) -> str:
    return ", ".join(say(rate) for rate in rates)


def _compare_moved(pair: Pair, runs: dict[str, Milestones], epoch: int) -> None:
    named = {cause.id for cause in pair.findings.causes}
    if "trainable_flags" in named or len({len(run.model.variables) for run in runs.values()}) > 1:
        return
    moved = {
        side: [_moved(run, number) for number in range(1, epoch + 1)] for side, run in runs.items()
    }
    if moved[FIT][:-1] != moved[LOOP][:-1] or moved[FIT][-1] == moved[LOOP][-1]:
        return
    before, fit, loop = moved[FIT][-2], moved[FIT][-1], moved[LOOP][-1]
    # Whoever changes nothing has forgotten to; where both change, fit is what the loop is held
    # against.
    at_fault = FIT if fit == before and loop != before else LOOP
    observed, right = (fit, loop) if at_fault == FIT else (loop, fit)
    model = runs[at_fault].model
    found = [
        (f"move in epoch {epoch}, but stay on the other side", observed - right),
        (f"stay in epoch {epoch}, but move on the other side", right - observed),
    ]
    pair.findings.name_cause(
        "trainable_flags",
        at_fault,
        None,
        *(by_reading(what, _names(model, those), "none") for what, those in found if those),
    )


def _moved(run: Milestones, epoch: int) -> frozenset[int]:
    """Positions of the trained variables that an epoch (from 1) has changed. What layers keep for
    themselves (moving averages, seeds) changes in the forward pass, and is left out.
    """
    before, after = run.states[epoch - 1], run.states[epoch]
    kept = {id(v) for layer in run.model._flatten_layers() for v in layer._trainable_variables}
    return frozenset(
        position
        for position in weight_positions(run.model)
        if id(run.model.variables[position]) in kept
        and not np.array_equal(before[position], after[position])
    )


def _names(model: keras.Model, positions: frozenset[int]) -> str:
    names = [model.variables[position].path for position in sorted(positions)]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
