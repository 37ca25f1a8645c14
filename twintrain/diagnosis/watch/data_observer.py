"""Sees what is pulled from data sets, when a pass over data begins, and with which buffers data is
shuffled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from twintrain.diagnosis.watch.recording import Recording
from twintrain.diagnosis.watch.seams import Seam, dataset_iterator, is_concrete, owner_of


class DataObserver:
    """Observer of data-set iterators."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def seams(self) -> list[Seam]:
        """The methods it looks at."""
        iterator = dataset_iterator()
        return [
            (iterator, "_next_internal", self._next),
            (iterator, "get_next_as_optional", self._next_optional),
            (iterator, "__init__", self._iteration),
            (owner_of(tf.data.Dataset, "shuffle"), "shuffle", self._shuffle),
        ]

    def _shuffle(
        self, original: Callable[..., Any], dataset: Any, *arguments: Any, **named: Any
    ) -> Any:
        found = original(dataset, *arguments, **named)
        buffer: Any = arguments[0] if arguments else named.get("buffer_size")
        if is_concrete(buffer):
            self._recording.trace.buffers.append(int(buffer))
        return found

    def _iteration(self, original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self._recording.check()
        self._recording.begin_iteration()
        return original(*arguments, **named)

    def _next(self, original: Callable[..., Any], iterator: Any) -> Any:
        self._recording.check_time()
        element = original(iterator)
        if tf.executing_eagerly():
            self._recording.element = element
        return element

    def _next_optional(self, original: Callable[..., Any], iterator: Any) -> Any:
        found = original(iterator)
        if tf.executing_eagerly() and bool(found.has_value()):
            self._recording.element = found.get_value()
        return found
