"""Sees what metrics report, what `fit` is given, and whether XLA is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from twintrain.diagnosis.watch.places import user_spot
from twintrain.diagnosis.watch.recording import Recording
from twintrain.diagnosis.watch.seams import Nesting, Seam, accepts, family, is_concrete, owner_of
from twintrain.diagnosis.watch.trace import FitCall, MetricEvent


class FitObserver:
    """Observer of metrics, `Model.fit` and `tf.function`."""

    def __init__(self, recording: Recording) -> None:
        self._trace = recording.trace
        self._metrics = Nesting()

    def seams(self) -> list[Seam]:
        """The methods it looks at."""
        found: list[Seam] = [
            (owner_of(keras.Model, "fit"), "fit", self._fit),
            (type(tf.function(lambda: None)), "__call__", self._function),
        ]
        for owner in family(keras.metrics.Metric):
            for name in ("update_state", "reset_state", "result"):
                found.append((owner, name, self._metric(name)))
        return found

    def _metric(self, kind: str) -> Callable[..., Any]:
        def seam(original: Callable[..., Any], metric: Any, *arguments: Any, **named: Any) -> Any:
            with self._metrics:
                value = original(metric, *arguments, **named)
            if self._metrics.outermost and tf.executing_eagerly():
                is_figure = kind == "result" and is_concrete(value) and value.shape == ()
                number = float(value) if is_figure else None
                position = len(self._trace.steps)
                event = MetricEvent(position, metric, kind, number, user_spot())
                self._trace.metrics.append(event)
            return value

        return seam

    def _function(
        self, original: Callable[..., Any], function: Any, *arguments: Any, **named: Any
    ) -> Any:
        self._trace.compiled |= bool(getattr(function, "_jit_compile", None))
        return original(function, *arguments, **named)

    def _fit(self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any) -> Any:
        if not accepts(original, (model, *arguments), named):
            return original(model, *arguments, **named)  # which says what is wrong with the call
        given = inspect.signature(original).bind(model, *arguments, **named).arguments
        call = FitCall(model, given, at=user_spot())
        self._trace.fits.append(call)
        history = original(model, *arguments, **named)
        call.history = {
            name: [float(v) for v in values] for name, values in history.history.items()
        }
        return history
