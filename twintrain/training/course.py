"""What is left to do of a training: the phases from where it stands to its end.

for leg in legs(job, built, steps):
    ...                                # train from leg.progress.epochs to leg.phase.end
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twintrain.training import resume
from twintrain.training.checkpoints import StopperState
from twintrain.training.phases import Phase, phases_of
from twintrain.training.session import Built, in_phase
from twintrain.training.twin import TwinJob


@dataclass(frozen=True)
class Leg:
    """One phase, ready to be trained or to be gone on with.

    Attributes:
        phase: which epochs, and by which rules.
        built: the model with what trains it in this phase.
        progress: of the whole training; whoever trains adds to it.
        stopper: where early stopping stands.
        state: the file for the state after each epoch; None keeps none.
    """

    phase: Phase
    built: Built
    progress: resume.Progress
    stopper: StopperState
    state: Path | None

    @property
    def over(self) -> bool:
        """Whether none of its epochs is left."""
        return self.progress.stopped or self.progress.epochs >= self.phase.end


def legs(job: TwinJob, built: Built, steps: int) -> Iterator[Leg]:
    """The phases that are not behind the training; of one that ended just before an interruption,
    what its end takes is still to be done. Call it inside `session`, and train each before the
    next.

    Args:
        job: may name a file that an interrupted training has left.
        built: fresh, as the first phase needs it.
        steps: per epoch.
    """
    phases = phases_of(job.recipe)
    leg = _standing(job, built, steps, phases)
    yield leg
    for phase in phases[phases.index(leg.phase) + 1 :]:
        built = in_phase(leg.built, phase, job.problem, steps)
        built.optimizer.build(built.model.trainable_variables)
        leg = Leg(phase, built, leg.progress, StopperState(), phase.place(job.resume))
        yield leg


def _standing(job: TwinJob, built: Built, steps: int, phases: tuple[Phase, ...]) -> Leg:
    """Where the training goes on: in the last phase that has left a state, or at the start."""
    for phase in reversed(phases[1:]):
        state = phase.place(job.resume)
        if state is None:
            continue
        # Also where there is no file: of several workers all have to do the same.
        later = in_phase(built, phase, job.problem, steps)
        otherwise = "goes back to the phase before"
        progress, stopper = resume.load(state, later.model, later.optimizer, otherwise)
        if progress.epochs:
            return Leg(phase, later, progress, stopper, state)
        built = in_phase(built, phases[0], job.problem, steps)
    state = phases[0].place(job.resume)
    progress, stopper = resume.load(state, built.model, built.optimizer)
    return Leg(phases[0], built, progress, stopper, state)
