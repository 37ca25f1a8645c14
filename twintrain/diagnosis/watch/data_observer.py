"""Sees what is pulled from data sets, when a pass over data begins, and with which buffers data is
shuffled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

from twintrain.diagnosis.watch.places import Source, Station, user_spot
from twintrain.diagnosis.watch.recording import Recording
from twintrain.diagnosis.watch.seams import (
    Seam,
    dataset_iterator,
    datasets_behind,
    is_concrete,
    owner_of,
)


class DataObserver:
    """Observer of data-set iterators."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        # Weakly: a data set may hold all of the data, and a loop may make one for every step.
        self._stations: WeakKeyDictionary[Any, list[Station]] = WeakKeyDictionary()
        self._sources: WeakKeyDictionary[Any, Source] = WeakKeyDictionary()

    def seams(self) -> list[Seam]:
        """The methods it looks at."""
        iterator = dataset_iterator()
        return [
            (iterator, "_next_internal", self._next),
            (iterator, "get_next_as_optional", self._next_optional),
            (iterator, "__init__", self._iteration),
            (owner_of(tf.data.Dataset, "shuffle"), "shuffle", self._shuffle),
            (owner_of(tf.data.Dataset, "batch"), "batch", self._batch),
        ]

    def _shuffle(
        self, original: Callable[..., Any], dataset: Any, *arguments: Any, **named: Any
    ) -> Any:
        found = original(dataset, *arguments, **named)
        buffer: Any = arguments[0] if arguments else named.get("buffer_size")
        if is_concrete(buffer):
            self._recording.trace.buffers.append(int(buffer))
        self._note(found, "shuffle")
        return found

    def _batch(
        self, original: Callable[..., Any], dataset: Any, *arguments: Any, **named: Any
    ) -> Any:
        found = original(dataset, *arguments, **named)
        self._note(found, "batch")
        return found

    def _note(self, dataset: Any, kind: str) -> None:
        spot = user_spot()
        if spot is not None:
            self._stations.setdefault(dataset, []).insert(0, Station(kind, spot))

    def _iteration(
        self, original: Callable[..., Any], iterator: Any, *arguments: Any, **named: Any
    ) -> Any:
        self._recording.check()
        self._recording.begin_iteration()
        dataset = arguments[0] if arguments else named.get("dataset")
        if dataset is not None:
            self._sources[iterator] = self._read(dataset)
        return original(iterator, *arguments, **named)

    def _read(self, dataset: Any) -> Source:
        """The way of the data to here, from its end on."""
        stations: list[Station] = []
        kinds: list[str] = []
        for current in datasets_behind(dataset):
            kinds.append(type(current).__name__)
            stations += self._stations.get(current, [])
        return Source(None, tuple(stations), tuple(kinds))

    def _next(self, original: Callable[..., Any], iterator: Any) -> Any:
        self._recording.check_time()
        element = original(iterator)
        if tf.executing_eagerly():
            self._pulled(iterator, element)
        return element

    def _next_optional(self, original: Callable[..., Any], iterator: Any) -> Any:
        found = original(iterator)
        if tf.executing_eagerly() and bool(found.has_value()):
            self._pulled(iterator, found.get_value())
        return found

    def _pulled(self, iterator: Any, element: Any) -> None:
        source = self._sources.get(iterator, Source())
        spot = user_spot()
        if source.pulled != spot:
            source = self._sources[iterator] = source._replace(pulled=spot)
        self._recording.element, self._recording.source = element, source
