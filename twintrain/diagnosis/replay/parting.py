"""Where two runs part, epoch by epoch, by more than rounding grows to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twintrain.diagnosis.replay.compare import largest, weight_positions
from twintrain.diagnosis.replay.tolerances import (
    ABOVE_NOISE,
    PARTED,
    PARTED_FLOOR,
    PARTED_UNMEASURED,
)
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import Arrays


@dataclass(frozen=True)
class Parting:
    """The first epoch after which two runs have other weights.

    Attributes:
        epoch: from 1.
        gap: largest absolute difference of a weight.
        moved: largest distance a weight came from the start by then.
    """

    epoch: int
    gap: float
    moved: float

    def describe(self) -> str:
        """In words."""
        return (
            f"after epoch {self.epoch} weights that moved by up to {self.moved:.2g} are apart by "
            f"{self.gap:.2g}"
        )


def compared_epochs(a: Milestones, b: Milestones) -> int:
    """Epochs after which the weights of two runs can be compared; where one's epochs cannot be
    told apart, only the end, as one.
    """
    return len(_aligned(a, b))


def parting(
    first: Milestones, second: Milestones, noise: Callable[[], Milestones | None]
) -> Parting | None:
    """Where two runs part; None where they do not.

    Args:
        first: a run.
        second: a run of the same code, or of another that should train alike.
        noise: makes a run like `second` whose weights were moved by a rounding at the start; asked
            for only where the two are apart by more than rounding alone makes.
    """
    states = _aligned(first, second)
    gaps = [_gap(first, a, second, b) for a, b in states]
    moved = [_gap(second, b, second, second.states[0]) for _, b in states]
    suspicious = [k for k in range(len(states)) if gaps[k] > max(PARTED * moved[k], PARTED_FLOOR)]
    if not suspicious:
        return None
    nudged = noise()
    grown = (
        [] if nudged is None else [_gap(second, a, nudged, b) for a, b in _aligned(second, nudged)]
    )
    for k in suspicious:
        limit = ABOVE_NOISE * grown[k] if k < len(grown) else PARTED_UNMEASURED * moved[k]
        if gaps[k] > limit:
            return Parting(k + 1, gaps[k], moved[k])
    return None


def _aligned(a: Milestones, b: Milestones) -> list[tuple[Arrays, Arrays]]:
    """The states after each epoch of both, and what they ended with where both have all epochs."""
    stopped = a.stopped or b.stopped
    if a.epochs == b.epochs and not stopped:
        return [*zip(a.states[1:], b.states[1:], strict=True), (a.kept, b.kept)]
    if min(a.epochs, b.epochs) <= 1 and not stopped:
        return [(a.kept, b.kept)]  # a pass over data that was not seen
    return list(zip(a.states[1:], b.states[1:], strict=False))


def _gap(run: Milestones, state: Arrays, other_run: Milestones, other: Arrays) -> float:
    """Largest absolute difference of a weight; infinite where shapes differ, or by NaN."""
    found = largest(_weights(run, state), _weights(other_run, other))
    return float("inf") if found is None else found


def _weights(run: Milestones, state: Arrays) -> Arrays:
    positions = [p for p in weight_positions(run.model) if p < len(state)]
    return [state[p] for p in positions if np.issubdtype(state[p].dtype, np.floating)]
