"""The places where rows enter TensorFlow: there they can be counted, and replaced by index.

What a program does to its rows before and after that is its own.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.scripts.frames import place_in
from twintrain.diagnosis.watch.seams import dataset_iterator, datasets_behind, wrapped


@dataclass(frozen=True)
class Entry:
    """One call by which rows enter.

    Attributes:
        name: of the function called.
        file, line: of the call.
        ordinal: which call from there it is, from 1.
    """

    name: str
    file: str
    line: int
    ordinal: int


class Entries:
    """Watches `Dataset.from_tensor_slices` and what becomes of the data sets it makes.

    Args:
        folder: of the program.
        serve: what stands for the arrays of an entry; may return them as they are.
    """

    def __init__(self, folder: Path, serve: Callable[[Entry, Any], Any]) -> None:
        self._folder, self._serve = folder, serve
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._leaves: dict[int, tuple[Entry, Any]] = {}
        self._pulled: frozenset[Entry] = frozenset()
        self._iterators: dict[int, frozenset[Entry]] = {}

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch within this context."""
        owner = tf.data.Dataset
        original = owner.__dict__["from_tensor_slices"]
        function = original.__func__ if isinstance(original, staticmethod) else original

        def from_tensor_slices(tensors: Any, name: str | None = None) -> Any:
            # Keras calls it too, with indices.
            own = sys._getframe(1).f_code.co_filename.startswith(f"{self._folder}/")
            entry = self.number("from_tensor_slices") if own else None
            if entry is None:
                return function(tensors, name=name)
            dataset = function(self._serve(entry, tensors), name=name)
            self._leaves[id(dataset)] = (entry, dataset)
            return dataset

        with ExitStack() as stack:
            owner.from_tensor_slices = staticmethod(from_tensor_slices)
            stack.callback(setattr, owner, "from_tensor_slices", original)
            iterator = dataset_iterator()
            stack.enter_context(wrapped(iterator, "__init__", self._iteration, always=True))
            stack.enter_context(wrapped(iterator, "_next_internal", self._next, always=True))
            yield

    def number(self, name: str) -> Entry | None:
        """The entry that a call made just now is; None where no line of the program makes it."""
        file, line, _ = place_in(self._folder)
        if not file:
            return None
        self._counts[name, file, line] += 1
        return Entry(name, file, line, self._counts[name, file, line])

    @property
    def pulled(self) -> frozenset[Entry]:
        """Where the rows pulled last from a data set had entered."""
        return self._pulled

    def behind(self, dataset: tf.data.Dataset) -> frozenset[Entry]:
        """Where the rows of a data set entered."""
        known = [self._leaves.get(id(one)) for one in datasets_behind(dataset)]
        return frozenset(leaf[0] for leaf in known if leaf is not None)

    def _iteration(
        self, original: Callable[..., Any], iterator: Any, *arguments: Any, **named: Any
    ) -> Any:
        dataset = arguments[0] if arguments else named.get("dataset")
        if dataset is not None and tf.executing_eagerly():
            self._iterators[id(iterator)] = self.behind(dataset)
        return original(iterator, *arguments, **named)

    def _next(self, original: Callable[..., Any], iterator: Any) -> Any:
        self._pulled = self._iterators.get(id(iterator), frozenset())
        return original(iterator)


def map_parts(function: Callable[[Any], Any], arrays: Any) -> Any:
    """Apply a function to each array of a nest: of tuples, dicts, and lists of arrays."""
    if isinstance(arrays, tuple):
        parts = [map_parts(function, part) for part in arrays]
        return type(arrays)(*parts) if hasattr(arrays, "_fields") else tuple(parts)
    if isinstance(arrays, dict):
        return {name: map_parts(function, part) for name, part in arrays.items()}
    if isinstance(arrays, list) and arrays and all(_has_rows(part) for part in arrays):
        return [map_parts(function, part) for part in arrays]
    return arrays if arrays is None else function(arrays)


def rows_of(arrays: Any) -> int | None:
    """Rows of a nest of arrays that belong together; None where they do not."""
    sizes: set[int] = set()
    try:
        map_parts(lambda part: sizes.add(len(part)), arrays)
    except TypeError:
        return None
    return sizes.pop() if len(sizes) == 1 else None


def taken(arrays: Any, positions: np.ndarray) -> Any:
    """Some rows of a nest of arrays, tensors, frames or lists, each as what it was."""
    return map_parts(lambda part: _taken(part, positions), arrays)


def as_arrays(arrays: Any) -> Any:
    """A nest of arrays, tensors, frames or lists as one of NumPy arrays."""
    return map_parts(np.asarray, arrays)


def _has_rows(part: Any) -> bool:
    return len(getattr(part, "shape", ())) > 0


def _taken(part: Any, positions: np.ndarray) -> Any:
    if tf.is_tensor(part):
        return tf.gather(part, positions)
    if hasattr(part, "iloc"):
        return part.iloc[positions]
    if isinstance(part, list):
        return [part[i] for i in positions]
    return np.asarray(part)[positions]
