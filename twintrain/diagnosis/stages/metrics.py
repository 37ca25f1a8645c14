"""Stage 'metric': do the figures each side reports follow from what it did, and do both sides mean
the same by them?
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.tolerances import FIGURE
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.log_differences import Differences
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.stages.reported import Figures, Reported
from twintrain.diagnosis.stages.same_training import other_evaluation, other_training
from twintrain.diagnosis.watch.logs import FigureName
from twintrain.diagnosis.watch.trace import MetricEvent

# What is compared here, in the words of a diagnosis.
LOGS = "logs"

# A series of fit, and the one of the loop that goes by the same name.
Couple = tuple[Reported, Reported]


@looks_for("metrics_not_reset")
def check_resets(pair: Pair) -> bool:
    """A metric object read after both epochs, and never reset between: seen directly, whatever it
    measures.
    """
    if not _two_epochs(pair):
        return False
    found = False
    for side in pair.sides:
        for metric in {id(event.metric): event.metric for event in side.trace.metrics}.values():
            events = [event for event in side.trace.metrics if event.metric is metric]
            counts = _updates_until_read(events, side.ends)
            if counts is not None:
                found = True
                _name_reset(pair, side, metric.name, *counts)
    return found


def _two_epochs(pair: Pair) -> bool:
    return pair.complete and all(0 < side.first_epoch < len(side.steps) for side in pair.sides)


def _name_reset(pair: Pair, side: Side, name: str, before: int, between: int) -> None:
    pair.findings.name_cause(
        "metrics_not_reset",
        side.name,
        side.ends[1] - 1,
        by_reading(f"updates in {name} when it is read in epoch 2", before + between, between),
    )


def _updates_until_read(events: list[MetricEvent], ends: tuple[int, int]) -> tuple[int, int] | None:
    """Updates of a metric before it was last read at the end of the first epoch, and from there to
    when it was last read at the end of the second; None where it was reset between, or not updated,
    or not read.
    """
    first, second = (_last_read(events, end) for end in ends)
    if first is None or second is None:
        return None
    between = [event.kind for event in events[first + 1 : second]]
    if "reset_state" in between or "update_state" not in between:
        return None
    before = sum(event.kind == "update_state" for event in events[:first])
    return before, between.count("update_state")


def _last_read(events: list[MetricEvent], position: int) -> int | None:
    reads = [i for i, e in enumerate(events) if e.kind == "result" and e.position == position]
    return reads[-1] if reads else None


@looks_for(
    "metrics_not_reset",
    "metric_batch_average",
    "loss_before_update",
    "last_batch_logged",
    "metric_definition_differs",
)
def check_metrics(pair: Pair) -> bool:
    """Compare the series of the same name; read how each side computes and averages them, and name
    where they differ.
    """
    if not _two_epochs(pair):
        pair.findings.not_compared(LOGS, "not all of two epochs was seen", open_=False)
        return False
    fit, loop = (Figures(pair, side) for side in pair.sides)
    couples = list(_couples(fit, loop))
    differences = Differences(pair, fit, loop)
    judged = [couple for couple in couples if differences.compare(*couple)]
    for figures, others in ((loop, fit), (fit, loop)):
        for reported in _alone(figures, [one for couple in couples for one in couple]):
            differences.compare_way(figures, reported, others)
    differences.name()
    _look(pair, (fit, loop), [c for c in couples if c not in judged], judged)
    return any(figures.explain(r) for figures in (fit, loop) for r in figures.reported)


def _couples(fit: Figures, loop: Figures) -> Iterator[Couple]:
    """The series of both sides that go by the same name, or else by spellings of one figure, or
    else that are one figure by their values.
    """
    left, unmatched = list(fit.reported), []
    for reported in loop.reported:
        exact = [other for other in left if other.name == reported.name]
        meaning = _meaning(loop, reported)
        alike = [other for other in left if meaning and _meaning(fit, other) == meaning]
        if not exact and not alike:
            unmatched.append(reported)
        for other in [*exact, *alike][:1]:
            left.remove(other)
            yield other, reported
    for reported in unmatched if left else ():
        found = loop.found_to_be(reported)
        same = [
            other
            for other in left
            if found in (other.means, fit.found_to_be(other))
            and found is not None
            and len(other.series) == len(reported.series)
            and each_close(np.array(other.series), np.array(reported.series), FIGURE)
        ]
        for other in same[:1]:
            left.remove(other)
            yield other, reported


def _meaning(figures: Figures, reported: Reported) -> FigureName | None:
    """What the name says; of a nameless series, what it is found to be."""
    if reported.means.figure:
        return reported.means
    for explanation in figures.explain(reported)[:1]:
        return FigureName(explanation.quantity.held_out, explanation.quantity.figure)
    return None


def _alone(figures: Figures, coupled: list[Reported]) -> list[Reported]:
    return [reported for reported in figures.reported if reported not in coupled]


def _look(
    pair: Pair, sides: tuple[Figures, Figures], open_: list[Couple], judged: list[Couple]
) -> None:
    """Note what was compared, and what was not and why."""
    findings = pair.findings
    silent = [figures.side.name for figures in sides if not figures.reported]
    if len(silent) == len(sides):
        findings.not_compared(LOGS, "neither side reports figures", open_=False)
    elif silent:
        findings.not_compared(LOGS, f"{silent[0]} reports no figures", open_=False)
    elif not judged and not open_:
        findings.not_compared(LOGS, f"no figure stands on both sides: {_told(sides)}", open_=False)
    if judged:
        findings.compared(LOGS, ", ".join(fit.name for fit, _ in judged))
    for fit, _ in open_:
        why = other_training(pair) or other_evaluation(pair)
        findings.not_compared(LOGS, f"{fit.name}: {why}", open_=False)


def _told(sides: tuple[Figures, Figures]) -> str:
    """Which figures each side has."""
    return "; ".join(
        f"{figures.side.name} has {', '.join(reported.name for reported in figures.reported)}"
        for figures in sides
    )


CHECKS = (check_resets, check_metrics)
