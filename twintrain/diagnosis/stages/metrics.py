"""Stage 'metric': do the figures each side reports follow from what it did?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from twintrain.diagnosis.replay.batch_matching import true_parts
from twintrain.diagnosis.replay.figures import (
    AFTER,
    BATCHES,
    RIGHT,
    RUNNING,
    RUNNING_BATCHES,
    Quantity,
    evaluation_quantities,
    match,
    training_quantities,
)
from twintrain.diagnosis.replay.losses import Declared
from twintrain.diagnosis.stages.evaluation import blocks_of, held_out
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.logs import Series
from twintrain.diagnosis.watch.trace import MetricEvent

# Per way of averaging, its pitfalls, and the epoch (from 0) in which each shows.
_IDS = {
    BATCHES: {"metric_batch_average": 0},
    RUNNING: {"metrics_not_reset": 1},
    RUNNING_BATCHES: {"metrics_not_reset": 1, "metric_batch_average": 0},
    AFTER: {"loss_before_update": 0},
}


@dataclass
class Figure:
    """A logged series that was understood.

    Attributes:
        name: in the log.
        series: a value per epoch.
        way: in which it was averaged.
        quantity: what it is of.
    """

    name: str
    series: list[float]
    way: str
    quantity: Quantity


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


@looks_for("metrics_not_reset", "metric_batch_average", "loss_before_update")
def check_metrics(pair: Pair) -> bool:
    """Read how each side averages its figures, and name where they differ."""
    if not _two_epochs(pair):
        return False
    fit, loop = (_read(pair, side) for side in pair.sides)
    _name_ways(pair, pair.loop, loop, fit)
    _name_ways(pair, pair.fit, fit, loop)
    return bool(fit or loop)


def _name_ways(pair: Pair, side: Side, figures: list[Figure], others: list[Figure]) -> None:
    """Name the ways of averaging that the other side does not use."""
    used = {figure.way for figure in others}
    for figure in figures:
        if figure.way in used:
            continue
        for id_, epoch in _IDS.get(figure.way, {}).items():
            series = figure.quantity.series()
            evidence = by_replay(
                f"{figure.name} of epoch {epoch + 1} as logged ({figure.way})",
                figure.series[epoch],
                series[figure.way][0][epoch],
                series[RIGHT][0][epoch],
            )
            pair.findings.name_cause(id_, side.name, side.ends[epoch] - 1, evidence)


def _read(pair: Pair, side: Side) -> list[Figure]:
    """The logged series that were understood."""
    logs = _logged(side) or _from_metrics(side)
    if not logs:
        return []
    quantities = _quantities(pair, side)
    found = []
    for name, series in logs.items():
        matched = match(series, quantities)
        if matched is not None:
            found.append(Figure(name, series, *matched))
    return found


def _logged(side: Side) -> Series:
    """Series of two finite values, one per epoch, in what a side returned or `fit` recorded."""
    logs = dict(side.trace.log)
    for call in side.trace.fits:
        if call.history and all(len(series) == 2 for series in call.history.values()):
            logs |= call.history
    return {
        name: series
        for name, series in logs.items()
        if len(series) == 2 and np.isfinite(series).all()
    }


def _quantities(pair: Pair, side: Side) -> list[Quantity]:
    """What the logs of a side may be of; nothing where its targets are not known."""
    reading = pair.losses.get(side.name)
    declared = None if reading is None else reading.declared
    targets = [
        true_parts(step, rows, pair.subject.train)[0]
        for step, rows in zip(side.steps, side.stream.rows, strict=True)
    ]
    if any(y is None for y in targets):
        return []
    found = training_quantities(side.steps, targets, side.first_epoch, declared)
    return found if declared is None else found + _evaluated(pair, side, declared)


def _evaluated(pair: Pair, side: Side, declared: Declared) -> list[Quantity]:
    """The figures of the evaluations after both epochs; nothing where there is none after one."""
    blocks = [held_out(pair, block) for block in blocks_of(side)]
    if not all(blocks):
        return []
    true: list[list[Any]] = []
    for block in blocks:
        data, rows = pair.evaluated(block)
        true.append([true_parts(e, r, data)[0] for e, r in zip(block, rows, strict=True)])
    if any(y is None for ys in true for y in ys):
        return []
    return evaluation_quantities(blocks, true, declared)


def _from_metrics(side: Side) -> Series:
    """What metric objects said when they were last read in each epoch, for a side that returns no
    log.
    """
    found: dict[int, tuple[str, dict[int, float]]] = {}
    for event in side.trace.metrics:
        if event.kind == "result" and event.value is not None and event.position in side.ends:
            _, values = found.setdefault(id(event.metric), (event.metric.name, {}))
            values[event.position] = event.value
    return {
        name: [values[end] for end in side.ends]
        for name, values in found.values()
        if len(values) == len(side.ends)
    }


CHECKS = (check_resets, check_metrics)
