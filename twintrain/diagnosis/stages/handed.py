"""What each optimizer is handed of the gradients its tape gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twintrain.diagnosis.replay.clipping import (
    NO_CLIPPING,
    Gradients,
    Way,
    clip,
    clipping,
    times,
    way_of,
)
from twintrain.diagnosis.replay.compare import gradients_agree
from twintrain.diagnosis.replay.tolerances import CLIPPED
from twintrain.diagnosis.replay.updates import replicas
from twintrain.diagnosis.stages.pair import Side
from twintrain.diagnosis.watch.trace import Applied, Step


@dataclass(frozen=True)
class Handed:
    """One update.

    Attributes:
        number: of its step, from 0.
        step: in which the optimizer was called.
        applied: the call.
        passes: forward and backward passes since the update before.
        raw: the mean of their gradients by the tape, in the order of the optimizer's variables, a
            loss scale taken out.
        given: what the optimizer got, the loss scale taken out.
    """

    number: int
    step: Step
    applied: Applied
    passes: int
    raw: Gradients
    given: Gradients


def handed(side: Side) -> list[Handed]:
    """All updates of a side by an optimizer."""
    found: list[Handed] = []
    window: list[Step] = []
    for number, step in enumerate(side.steps):
        window.append(step)
        if step.applied is not None:
            found.append(_handed(number, window, step.applied))
            window = []
    return found


def way_of_side(updates: list[Handed]) -> Way | None:
    """What is done to the gradients on their way; None where that is neither a factor nor clipping,
    or where the gradients of several devices are put together.
    """
    if not updates or replicas(updates[0].applied.optimizer) > 1:
        return None
    return way_of([update.raw for update in updates], [update.given for update in updates])


def hides(updates: list[Handed], factor: float) -> bool:
    """Whether another factor before the clipping would have led to the same gradients: all of them
    are clipped to the limit.
    """
    way = way_of_side(updates)
    if way is None or way.rule == NO_CLIPPING:
        return False
    return all(
        gradients_agree(clip(way.rule, times(factor, update.raw)), update.given, CLIPPED)
        for update in updates
    )


def reached(update: Handed) -> Gradients:
    """The gradients that reach the update rule, after the optimizer's own clipping."""
    return clip(clipping(update.applied.optimizer), update.given)


def _handed(number: int, window: list[Step], applied: Applied) -> Handed:
    step = window[-1]
    scale = 1.0 / (step.scale or 1.0)
    per_step = [dict(zip(s.sources, s.gradients, strict=False)) for s in window]
    raw = [_mean([known.get(p) for known in per_step]) for p in applied.variables]
    return Handed(
        number, step, applied, len(window), times(scale, raw), times(scale, applied.gradients)
    )


def _mean(gradients: Gradients) -> np.ndarray | None:
    known = [g for g in gradients if g is not None]
    if not known or any(g.shape != known[0].shape for g in known):
        return None
    if len(gradients) == 1:
        return known[0]
    total = np.sum([g.astype(np.float64) for g in known], axis=0)
    found: np.ndarray = (total / len(gradients)).astype(known[0].dtype)
    return found
