"""Stage 'metric': do the figures each side reports follow from what it did?"""

from __future__ import annotations

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
from twintrain.diagnosis.stages.evaluation import blocks_of, held_out
from twintrain.diagnosis.stages.findings import FIT, LOOP, Pair, Side, shown
from twintrain.diagnosis.stages.loss import LossReading

_IDS = {
    BATCHES: ("metric_batch_average",),
    RUNNING: ("metrics_not_reset",),
    RUNNING_BATCHES: ("metrics_not_reset", "metric_batch_average"),
    AFTER: ("loss_before_update",),
}


def check_metrics(pair: Pair, losses: dict[str, LossReading]) -> None:
    """Read how each side averages its figures, and name where they differ."""
    if not all(
        side.trace.complete and 0 < side.first_epoch < len(side.steps) for side in pair.sides
    ):
        return
    _check_resets(pair)
    found = {side.name: _read(pair, side, losses.get(side.name)) for side in pair.sides}
    if any(found.values()):
        pair.ruled_out |= {"metrics_not_reset", "metric_batch_average", "loss_before_update"}
    for side, other in ((pair.loop, FIT), (pair.fit, LOOP)):
        others = {way for way, *_ in found[other]}
        for way, name, log, quantity in found[side.name]:
            if way in _IDS and way not in others:
                right = quantity.series()[RIGHT][0]
                for id_ in _IDS[way]:
                    epoch = 1 if id_ == "metrics_not_reset" else 0
                    pair.name_cause(
                        id_,
                        side.name,
                        "metric",
                        _end(side, epoch),
                        shown(
                            f"{name} of epoch {epoch + 1} as logged ({way})",
                            log[epoch],
                            quantity.series()[way][0][epoch],
                            right[epoch],
                        ),
                    )


def _check_resets(pair: Pair) -> None:
    """A metric object read after both epochs, and never reset between: seen directly, whatever it
    measures.
    """
    for side in pair.sides:
        ends = (side.first_epoch, len(side.steps))
        for metric in {id(event.metric): event.metric for event in side.trace.metrics}.values():
            events = [event for event in side.trace.metrics if event.metric is metric]
            reads = [
                max(
                    (i for i, e in enumerate(events) if e.kind == "result" and e.position == end),
                    default=-1,
                )
                for end in ends
            ]
            between = [event.kind for event in events[reads[0] + 1 : reads[1]]]
            if min(reads) < 0 or "reset_state" in between or "update_state" not in between:
                continue
            before = sum(event.kind == "update_state" for event in events[: reads[0]])
            count = between.count("update_state")
            pair.name_cause(
                "metrics_not_reset",
                side.name,
                "metric",
                _end(side, 1),
                shown(
                    f"updates in {metric.name} when it is read in epoch 2",
                    before + count,
                    before + count,
                    count,
                ),
            )


def _end(side: Side, epoch: int) -> int:
    return (side.first_epoch if epoch == 0 else len(side.steps)) - 1


def _read(
    pair: Pair, side: Side, reading: LossReading | None
) -> list[tuple[str, str, list[float], Quantity]]:
    """Per logged series that was understood: the way of averaging, its name, its values, the
    quantity.
    """
    logs = {**side.trace.log}
    for call in side.trace.fits:
        if call.history and all(len(series) == 2 for series in call.history.values()):
            logs |= call.history
    logs = {
        name: series
        for name, series in logs.items()
        if len(series) == 2 and np.isfinite(series).all()
    }
    if not logs:
        logs = _from_metrics(side)
    if not logs:
        return []
    quantities = _quantities(pair, side, reading)
    found = []
    for name, series in logs.items():
        matched = match(series, quantities)
        if matched is not None:
            found.append((matched[0], name, series, matched[1]))
    return found


def _quantities(pair: Pair, side: Side, reading: LossReading | None) -> list[Quantity]:
    declared = reading.declared if reading is not None else None
    targets = [
        true_parts(s, r, pair.subject.train)[0]
        for s, r in zip(side.steps, side.stream.rows, strict=True)
    ]
    if any(y is None for y in targets):
        return []
    quantities = training_quantities(side.steps, targets, side.first_epoch, declared)
    blocks = [held_out(pair, block) for block in blocks_of(side)]
    if declared is None or not all(blocks):
        return quantities
    true: list[list[Any]] = []
    for block in blocks:
        data, rows = pair.evaluated(block)
        true.append([true_parts(e, r, data)[0] for e, r in zip(block, rows, strict=True)])
    if all(y is not None for block in true for y in block):
        quantities += evaluation_quantities(blocks, true, declared)
    return quantities


def _from_metrics(side: Side) -> dict[str, list[float]]:
    """What metric objects said when they were last read in each epoch, for a side that returns no
    log.
    """
    found: dict[int, tuple[str, list[float | None]]] = {}
    ends = (side.first_epoch, len(side.steps))
    for event in side.trace.metrics:
        if event.kind == "result" and event.value is not None and event.position in ends:
            _, series = found.setdefault(id(event.metric), (event.metric.name, [None, None]))
            series[ends.index(event.position)] = event.value
    return {
        name: [value for value in series if value is not None]
        for name, series in found.values()
        if None not in series
    }
