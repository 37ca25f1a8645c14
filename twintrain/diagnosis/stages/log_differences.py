"""Where the two sides report other figures under one name, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.figures import (
    AFTER,
    BATCHES,
    BY_ROWS,
    FEWER,
    LAST,
    NEVER,
    OF_RUNNING,
    PER_ROW,
    RIGHT,
    RUNNING,
    RUNNING_BATCHES,
    SUM,
    TOTAL,
    Explanation,
    Quantity,
    tolerance_of,
)
from twintrain.diagnosis.replay.logged_losses import WITHOUT_LAYERS
from twintrain.diagnosis.replay.tolerances import FIGURE, Tolerance
from twintrain.diagnosis.result import Evidence
from twintrain.diagnosis.stages.findings import by_replay
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.reported import Figures, Reported
from twintrain.diagnosis.stages.same_training import other_evaluation, other_training
from twintrain.diagnosis.watch.trace import FIT

_DEFINITION = "metric_definition_differs"
_RESET = "metrics_not_reset"
_LAST_BATCH = "last_batch_logged"
# Per way of averaging, its pitfalls.
_IDS = {
    BATCHES: ("metric_batch_average",),
    LAST: (_LAST_BATCH,),
    RUNNING: (_RESET,),
    RUNNING_BATCHES: (_RESET, "metric_batch_average"),
    AFTER: ("loss_before_update",),
    OF_RUNNING: (_DEFINITION,),
    BY_ROWS: (_DEFINITION,),
    SUM: (_DEFINITION,),
    TOTAL: (_DEFINITION,),
    PER_ROW: (_DEFINITION,),
    FEWER: (_DEFINITION,),
    NEVER: (_DEFINITION,),
}
# What to do about it, where the catalogue's words are of something else.
_FIXES = {
    OF_RUNNING: "Read the metric once, at the end of the epoch: {} is a mean of its running means.",
    BY_ROWS: "Compute it once, over all rows of the epoch: {} is a mean of what batches give.",
    SUM: "Divide by what was added up: {} is a sum over batches.",
    TOTAL: "Divide by the rows: {} is a sum over them.",
    PER_ROW: "Multiply each batch's mean by its rows before dividing by all rows: {} does not.",
    FEWER: "Divide by the number of batches: {} is divided by the number of the last one.",
    NEVER: "Update its metric in every step: {} is 0. A train_step that returns the names of "
    "model.metrics has these logged, and not what it returns.",
}
# What is shown of one cause.
_MOST_EVIDENCE = 3


@dataclass
class _Named:
    """A cause that is being gathered, from one figure after the other."""

    step: int
    fix: str | None
    evidence: list[Evidence] = field(default_factory=list)


class Differences:
    """Gathers where the two sides report other figures.

    Args:
        pair: findings go there.
        fit, loop: what each side reports.
    """

    def __init__(self, pair: Pair, fit: Figures, loop: Figures) -> None:
        self._pair, self._fit, self._loop = pair, fit, loop
        self._named: dict[tuple[str, str], _Named] = {}
        self._other_training = other_training(pair)

    def name(self) -> None:
        """Name what was gathered."""
        for (id_, side), named in self._named.items():
            evidence = named.evidence[:_MOST_EVIDENCE]
            self._pair.findings.name_cause(id_, side, named.step, *evidence, fix=named.fix)

    def compare(self, fit: Reported, loop: Reported) -> bool:
        """Compare two series of one name.

        Returns:
            Whether it could be judged.
        """
        if self._equal(fit, loop):
            return True
        ours, theirs = self._fit.explain(fit), self._loop.explain(loop)
        if {e.key for e in ours} & {e.key for e in theirs}:
            return True
        if ours and theirs:
            self._compare_explained(fit, loop, *_nearest(ours, theirs))
            return True
        if self._other_training or (fit.means.held_out and other_evaluation(self._pair)):
            return False
        if self._fit.returned_raw(fit) and (_LAST_BATCH, FIT) in self._named:
            return True  # as was shown of another figure that it returns
        epoch = _first_apart(fit.series, loop.series, FIGURE)
        self._pair.findings.differing.append(
            f"{fit.name} of epoch {epoch + 1} is {_at(fit.series, epoch):.6g} in keras_fit and "
            f"{_at(loop.series, epoch):.6g} in custom_loop, and no way of computing it that was "
            "tried gives both"
        )
        return True

    def _equal(self, fit: Reported, loop: Reported) -> bool:
        """Whether two series are equal as far as each was rounded, and no further apart than the
        same figure of what both sides were seen to do: rounding turns a prediction now and then.
        """
        count = min(len(fit.series), len(loop.series))
        a, b = np.array(fit.series[-count:]), np.array(loop.series[-count:])
        floor = sum(tolerance_of(series).floor for series in (fit.series, loop.series))
        if each_close(a, b, Tolerance(FIGURE.rel, floor), equal_nan=True):
            return True
        if self._other_training:
            return False
        return bool(each_close(a, b, Tolerance(FIGURE.rel, floor + self._seen_apart(fit))))

    def _seen_apart(self, fit: Reported) -> float:
        """How far the usual figure of this name is apart in what was seen."""
        for quantity in self._fit.evaluation if fit.means.held_out else self._fit.training:
            if quantity.usual and quantity.figure == fit.means.figure:
                other = self._loop.like(quantity)
                if other is None:
                    return 0.0
                gaps = np.subtract(quantity.series(RIGHT), other.series(RIGHT))
                return float(np.nan_to_num(np.abs(gaps).max()))
        return 0.0

    def _compare_explained(
        self, fit: Reported, loop: Reported, ours: Explanation, theirs: Explanation
    ) -> None:
        if ours.averaged != theirs.averaged:
            self._add_way(self._fit, fit, ours)
            self._add_way(self._loop, loop, theirs)
        if ours.quantity.said == theirs.quantity.said:
            return
        if not ours.quantity.usual and theirs.quantity.usual:
            self._add_definition(self._fit, fit, ours, theirs.quantity)
        else:
            self._add_definition(self._loop, loop, theirs, ours.quantity)

    def compare_way(self, figures: Figures, reported: Reported, others: Figures) -> None:
        """Of a series whose name the other side does not have, name the way of averaging, where the
        other side averages nothing so.
        """
        found = [
            explanation
            for explanation in figures.explain(reported)
            if explanation.quantity.usual or explanation.quantity.said == WITHOUT_LAYERS
        ]
        if not found or any(
            explanation.way == RIGHT and not explanation.quantity.after for explanation in found
        ):
            return
        used = {e.averaged for other in others.reported for e in others.explain(other)[:1]}
        if found[0].averaged not in used and _DEFINITION not in _IDS[found[0].averaged]:
            self._add_way(figures, reported, found[0])

    def _add_way(self, figures: Figures, reported: Reported, found: Explanation) -> None:
        """Add the pitfalls of a way of averaging, if it has any."""
        right = figures.like(found.quantity) or found.quantity
        for id_ in _IDS.get(found.averaged, ()):
            fix = _FIXES[found.way].format(reported.name) if id_ == _DEFINITION else None
            quantity = f"as logged ({found.averaged})"
            self._add(id_, figures, reported, quantity, found, right.series(RIGHT), fix)

    def _add_definition(
        self, figures: Figures, reported: Reported, found: Explanation, other: Quantity
    ) -> None:
        right = figures.like(other) or figures.usual(found.quantity) or other
        if right.usual and right.remedy and not found.quantity.usual:
            fix = f"Use {right.remedy}"
        else:
            fix = (
                f"Compute {reported.name} alike on both sides: in {figures.side.name} it is "
                f"{found.quantity.said}, on the other side {right.said}."
            )
        quantity = f"as logged ({found.quantity.said})"
        correct = right.series(found.way)
        self._add(_DEFINITION, figures, reported, quantity, found, correct, fix)

    def _add(
        self,
        id_: str,
        figures: Figures,
        reported: Reported,
        said: str,
        found: Explanation,
        correct: list[float],
        fix: str | None,
    ) -> None:
        """Add evidence of a cause.

        Args:
            id_: of the catalogue.
            figures: of the side that has it.
            reported: the series that shows it.
            said: how that was computed.
            found: what gives it.
            correct: what it should be, epoch by epoch.
            fix: what to do, unless the catalogue's words do.
        """
        # Beside another way of averaging, the first epoch differs too, but not for want of a reset.
        epoch = 1 if id_ == _RESET else _first_apart(reported.series, correct, FIGURE)
        evidence = by_replay(
            f"{reported.name} of epoch {epoch + 1} {said}",
            _at(reported.series, epoch),
            found.quantity.series(found.way)[epoch],
            correct[epoch],
        )
        step = figures.side.ends[epoch] - 1
        named = self._named.setdefault((id_, figures.side.name), _Named(step, fix))
        named.evidence.append(evidence)


def _nearest(ours: list[Explanation], theirs: list[Explanation]) -> tuple[Explanation, Explanation]:
    """The two explanations that differ in least, and are the most usual."""
    return min(
        ((a, b) for a in ours for b in theirs),
        key=lambda both: (
            both[0].deviations + both[1].deviations,
            (both[0].averaged != both[1].averaged)
            + (both[0].quantity.said != both[1].quantity.said),
        ),
    )


def _at(series: list[float], epoch: int) -> float:
    """The value of an epoch (0 or 1); a series of one value is of the second."""
    return series[epoch - 2] if len(series) > 1 else series[0]


def _first_apart(a: list[float], b: list[float], tolerance: Tolerance) -> int:
    """The first of the two epochs in which two series differ; the second where they do not."""
    shared = 2 - min(len(a), len(b))
    for epoch in range(shared, 2):
        if not each_close(np.array(_at(a, epoch)), np.array(_at(b, epoch)), tolerance):
            return epoch
    return 1
