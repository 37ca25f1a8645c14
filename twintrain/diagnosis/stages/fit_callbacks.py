"""The callbacks that `fit` was given, and the figures they go by."""

from __future__ import annotations

from typing import Any

from twintrain.diagnosis.replay.definitions import Definition
from twintrain.diagnosis.replay.early_stopping import MONITORS
from twintrain.diagnosis.replay.metric_objects import of_metric
from twintrain.diagnosis.stages.pair import Side


def callbacks_of(side: Side) -> list[Any]:
    """What was given as `callbacks`, of all calls of `fit`."""
    found: list[Any] = []
    for call in side.trace.fits:
        given = call.arguments.get("callbacks") or []
        found += given if isinstance(given, (list, tuple)) else [given]
    return found


def monitored(side: Side) -> dict[str, Definition]:
    """By the name that a callback monitors, what the compiled metric of that name computes of the
    rows that are evaluated on; without loss and accuracy, which need none.
    """
    wanted = {str(getattr(callback, "monitor", "")) for callback in callbacks_of(side)}
    wanted -= set(MONITORS)
    found: dict[str, Definition] = {}
    for call in side.trace.fits:
        compiled = getattr(call.model, "_compile_metrics", None)
        for metric in getattr(compiled, "metrics", None) or []:
            name = f"val_{metric.name}"
            computed = of_metric(metric, name) if name in wanted else None
            if computed is not None:
                found[name] = computed
    return found
