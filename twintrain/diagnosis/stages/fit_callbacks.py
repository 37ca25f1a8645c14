"""The callbacks that `fit` was given, and the figures they go by."""

from __future__ import annotations

from typing import Any

import keras

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
            if name not in wanted or _may_be_of_batches(metric):
                continue
            computed = of_metric(metric, name)
            if computed is not None:
                found[name] = computed
    return found


def _may_be_of_batches(metric: keras.Metric) -> bool:
    """Whether it is a function of the user's own, which may give one number for a batch: then the
    figure depends on how the rows are shared out.
    """
    function = getattr(metric, "_fn", None)
    return function is not None and not str(function.__module__).startswith("keras.")
