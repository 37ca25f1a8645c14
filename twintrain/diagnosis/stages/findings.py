"""The two sides of a diagnosis, side by side, and the findings a stage adds to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras
import numpy as np

from twintrain.diagnosis.replay.batch_matching import Stream, read_stream
from twintrain.diagnosis.result import Cause, Evidence
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import Arrays, Evaluation, Step, Trace
from twintrain.diagnosis.watch.user_module import Subject

FIT, LOOP = "keras_fit", "custom_loop"


@dataclass
class Side:
    """One side: two epochs of it, how many steps the first of them had, and its batches read
    against the data.
    """

    trace: Trace
    first_epoch: int
    stream: Stream

    @property
    def name(self) -> str:
        """'keras_fit' or 'custom_loop'."""
        return self.trace.side

    @property
    def steps(self) -> list[Step]:
        """All training steps seen."""
        return self.trace.steps

    @property
    def close(self) -> list[int]:
        """Positions of the steps of which everything was kept, and that went through."""
        return [
            i
            for i, s in enumerate(self.steps)
            if s.before is not None and s.after is not None and s.target is not None
        ]


def read_side(trace: Trace, first_epoch: int, subject: Subject) -> Side:
    """Read a trace of two epochs."""
    return Side(trace, first_epoch, read_stream(trace.steps, subject.train, first_epoch))


@dataclass
class Pair:
    """What the stages work on and add to.

    Attributes:
        fit, loop: the sides.
        subject: where they come from, for more runs.
        causes: found so far.
        unexplained: what differs and no planted mistake reproduced.
        ruled_out: ids that were looked for.
        notes: what else is worth knowing.
        replayed: forward pass, loss, gradients and updates of both sides were reproduced.
    """

    fit: Side
    loop: Side
    subject: Subject
    causes: list[Cause] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    ruled_out: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    replayed: bool = False

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.fit, self.loop

    def evaluated(self, evaluations: list[Evaluation]) -> tuple[Rows, list[np.ndarray]]:
        """The split that evaluations were made on, and the rows of each."""
        best: tuple[float, Rows, list[np.ndarray]] | None = None
        for data in (self.subject.test, self.subject.train):
            if data is None:
                continue
            rows = read_stream(evaluations, data, len(evaluations)).rows
            share = float((np.concatenate(rows) >= 0).mean())
            if best is None or share > best[0]:
                best = (share, data, rows)
        assert best is not None
        return best[1], best[2]

    def name_cause(
        self, id_: str, side: str, stage: str, step: int | None, *evidence: Evidence
    ) -> None:
        """Add a cause, once per id."""
        if not any(cause.id == id_ for cause in self.causes):
            self.causes.append(
                Cause(id=id_, side=side, first_visible=stage, step=step, evidence=list(evidence))
            )

    def has(self, *ids: str) -> bool:
        """Whether one of these was found."""
        return any(cause.id in ids for cause in self.causes)


def shown(quantity: str, observed: object, replayed: object, correct: object) -> Evidence:
    """Evidence with figures rounded for reading."""
    return Evidence(
        quantity=quantity, observed=say(observed), replayed=say(replayed), correct=say(correct)
    )


def say(value: object) -> str:
    """A figure as a person reads it."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    return str(value)


def largest(a: Arrays, b: Arrays) -> float | None:
    """Largest absolute difference of two lists of arrays; None when their shapes differ, infinite
    with NaN.
    """
    if [x.shape for x in a] != [y.shape for y in b]:
        return None
    found = 0.0
    for x, y in zip(a, b, strict=True):
        if x.size and not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
            gap = float(np.abs(x.astype(np.float64) - y.astype(np.float64)).max())
            found = max(found, gap if np.isfinite(gap) else float("inf"))
    return found


def close_to(a: np.ndarray, b: np.ndarray, rel: float = 2e-5, floor: float = 1e-7) -> bool:
    """Equal to float tolerance, measured against the largest value."""
    if a.shape != b.shape:
        return False
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return bool(np.array_equal(a, b, equal_nan=True))
    if not a.size:
        return True
    return bool(np.abs(a - b).max() <= floor + rel * max(np.abs(a).max(), np.abs(b).max()))


def trainable_positions(model: keras.Model) -> list[int]:
    """Positions in `model.variables` of its trainable variables."""
    kept = {id(variable) for variable in model.trainable_variables}
    return [index for index, variable in enumerate(model.variables) if id(variable) in kept]


def weight_positions(model: keras.Model) -> list[int]:
    """Positions in `model.variables` of everything but the states of random seeds."""
    return [
        i
        for i, v in enumerate(model.variables)
        if "seed_generator" not in v.path and "seed" not in v.name
    ]
