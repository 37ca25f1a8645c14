"""The two sides of a diagnosis, side by side: what the stages work on and add to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twintrain.diagnosis.replay.batch_matching import Stream, forget_stale, read_stream
from twintrain.diagnosis.replay.losses import LossReading
from twintrain.diagnosis.stages.findings import Findings
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import (
    FIT,
    Applied,
    CompleteStep,
    Evaluation,
    Step,
    Trace,
    complete_steps,
)
from twintrain.diagnosis.watch.user_module import Subject


@dataclass
class Side:
    """One side: two epochs of it, and its batches read against the data.

    Attributes:
        trace: what was seen.
        first_epoch: how many steps the first epoch had.
        stream: its batches.
        close: the steps that were looked at closely: they are complete.
        alone: how many steps it takes when it is asked for one epoch only.
    """

    trace: Trace
    first_epoch: int
    stream: Stream
    close: list[CompleteStep]
    alone: int

    @property
    def name(self) -> str:
        """'keras_fit' or 'custom_loop'."""
        return self.trace.side

    @property
    def steps(self) -> list[Step]:
        """All training steps seen."""
        return self.trace.steps

    @property
    def ends(self) -> tuple[int, int]:
        """Steps taken by the end of the first and of the second epoch."""
        return self.first_epoch, len(self.steps)

    def updates(self) -> list[tuple[CompleteStep, Applied]]:
        """The close steps that were updated by an optimizer, and how."""
        return [(step, step.applied) for step in self.close if step.applied is not None]


def read_side(trace: Trace, first_epoch: int, subject: Subject, alone: int | None = None) -> Side:
    """Read a trace of two epochs; `alone` as in `Side`, where that is not the first of these."""
    forget_stale(trace.steps)
    forget_stale(trace.evaluations)
    stream = read_stream(trace.steps, subject.train, first_epoch)
    close = complete_steps(trace.steps)
    return Side(trace, first_epoch, stream, close, first_epoch if alone is None else alone)


@dataclass(frozen=True)
class LayerSetting:
    """A setting of a layer that the two models have otherwise.

    Attributes:
        where: kind of the layer and name of the setting.
        key: that name.
        at_fault: the side that departs.
        observed, correct: the values, of that side and of the other.
    """

    where: str
    key: str
    at_fault: str
    observed: Any
    correct: Any


@dataclass
class Pair:
    """Both sides.

    Attributes:
        fit, loop: the sides.
        subject: where they come from, for more runs.
        findings: what the stages found so far.
        losses: per side, how it computes its loss; empty until that was read, or where it could not
            be.
        unshuffled: the sides were watched with nothing shuffled.
        settings: of layers, that differ and whose effect is left to the replayed steps.
    """

    fit: Side
    loop: Side
    subject: Subject
    findings: Findings = field(default_factory=Findings)
    losses: dict[str, LossReading] = field(default_factory=dict)
    unshuffled: bool = False
    settings: list[LayerSetting] = field(default_factory=list)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.fit, self.loop

    def side(self, name: str) -> Side:
        """'keras_fit' or 'custom_loop'."""
        return self.fit if name == FIT else self.loop

    def other(self, name: str) -> Side:
        """The side that is not called so."""
        return self.loop if name == FIT else self.fit

    @property
    def complete(self) -> bool:
        """Whether both trainings came to their end by themselves."""
        return self.fit.trace.complete and self.loop.trace.complete

    def evaluated(self, evaluations: list[Evaluation]) -> tuple[Rows, list[np.ndarray]]:
        """The split that evaluations were made on, and the rows of each."""
        splits = [data for data in (self.subject.test, self.subject.train) if data is not None]
        read = [(data, read_stream(evaluations, data, len(evaluations)).rows) for data in splits]
        return max(read, key=lambda found: float((np.concatenate(found[1]) >= 0).mean()))
