"""Follows the loops of a program while it runs, and ends those that are to end."""

from __future__ import annotations

import gc
import operator
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.scripts.loop_marks import Key
from twintrain.diagnosis.watch.seams import dataset_iterator


@dataclass(eq=False)
class Pass:
    """One time that a program goes through a loop.

    Attributes:
        key: file, line and column of the loop.
        ordinal: which time the program goes through this loop, from 1.
        items: begun so far.
        own: how many items it has, where that is known beforehand.
        over_data: its items hold batches or rows.
        passes: how often a data set that it goes over repeats itself; None where it is none, or
            that has no end.
        steps: training steps taken within it, also within loops inside.
        direct: steps of which it is the innermost loop.
        trained: items in which a step was taken.
        phases: an item of it is a whole training of several epochs, and not one epoch.
        ended: it came to its own end.
    """

    key: Key
    ordinal: int
    items: int = 0
    own: int | None = None
    over_data: bool = False
    passes: int | None = None
    steps: int = 0
    direct: int = 0
    trained: int = 0
    phases: bool = False
    ended: bool = False
    frame: FrameType | None = field(default=None, repr=False)
    frame_id: int = 0
    last_line: int = 0
    inside: tuple[tuple[int, int], ...] = ()
    _steps_before: int = 0

    @property
    def trained_so_far(self) -> int:
        """Items in which a step was taken, the one under way among them."""
        return self.trained + (self.steps > self._steps_before)

    def begin_item(self) -> None:
        """Count the item that begins, and whether the one before trained."""
        self.trained = self.trained_so_far
        self._steps_before = self.steps
        self.items += 1


class Loops:
    """What stands for `HOOK` in a program.

    Args:
        may_go_on: whether a loop may begin another item.
        entered: hears of each pass before its first item.
    """

    def __init__(
        self,
        may_go_on: Callable[[Pass], bool],
        entered: Callable[[Pass], None] = lambda run: None,
        left: Callable[[Pass], None] = lambda run: None,
    ) -> None:
        self._may_go_on, self._entered, self._left = may_go_on, entered, left
        self._active: list[Pass] = []
        self._counts: Counter[Key] = Counter()

    def each(self, key: Key, items: Any) -> Any:
        """The items of a `for` loop, as far as it may go on."""
        if not tf.executing_eagerly():
            return items  # of a graph that is being traced: it is unrolled, or fails as it would
        return self._each(key, items, id(sys._getframe(1)))

    def _each(self, key: Key, items: Iterable[Any], frame_id: int) -> Iterator[Any]:
        run = Pass(key, self._next(key), own=_length(items), frame_id=frame_id)
        run.passes = _repeats(items)
        self._begin(run)
        try:
            iterator = iter(items)
            while self._may_go_on(run):
                try:
                    item = next(iterator)
                except StopIteration:
                    run.ended = True
                    break
                run.begin_item()
                run.over_data = run.over_data or holds_rows(item)
                yield item
        finally:
            run.begin_item()
            run.items -= 1
            if run in self._active:
                self._active.remove(run)
            self._left(run)

    def again(self, key: Key, last_line: int) -> bool:
        """Whether a `while` loop may begin another item."""
        if not tf.executing_eagerly():
            return True
        frame = sys._getframe(1)
        inside = tuple((id(run), run.items) for run in self.chain if run.key != key)
        run = next((r for r in self._active if r.key == key and r.frame is frame), None)
        if run is None or run.inside != inside:
            if run is not None:
                self._active.remove(run)
                self._left(run)
            run = Pass(key, self._next(key), frame=frame, last_line=last_line, inside=inside)
            run.frame_id = id(frame)
            self._begin(run)
        if self._may_go_on(run):
            run.begin_item()
            return True
        self._active.remove(run)
        self._left(run)
        return False

    @property
    def chain(self) -> list[Pass]:
        """The loops the program is in, outermost first. Those of a generator that waits to be asked
        for its next item are not around what is done with the last one.
        """
        self._forget_left()
        running = set()
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            running.add(id(frame))
            frame = frame.f_back
        return [run for run in self._active if run.frame_id in running]

    def note_step(self) -> list[Pass]:
        """A training step is taken here; within which loops."""
        chain = self.chain
        for run in chain:
            run.steps += 1
        if chain:
            chain[-1].direct += 1
        return chain

    def close(self) -> None:
        """Let go of the program's frames."""
        self._active.clear()

    def _begin(self, run: Pass) -> Pass:
        self._entered(run)
        self._active.append(run)
        return run

    def _next(self, key: Key) -> int:
        self._counts[key] += 1
        return self._counts[key]

    def _forget_left(self) -> None:
        """Drop `while` loops that were left by `break`, `return` or an exception."""
        if all(run.frame is None for run in self._active):
            return
        lines: dict[int, int] = {}
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            lines[id(frame)] = frame.f_lineno
            frame = frame.f_back
        for run in list(self._active):
            if run.frame is None:
                continue
            line = lines.get(id(run.frame))
            if run not in self._active:
                continue  # what heard of another one has looked here too
            if line is None or not run.key[1] <= line <= run.last_line:
                self._active.remove(run)
                self._left(run)


def holds_rows(item: Any) -> bool:
    """Whether an item of a loop is a batch or an example: it holds a tensor, or a float array."""
    if isinstance(item, (list, tuple)):
        return any(holds_rows(part) for part in item)
    if isinstance(item, dict):
        return any(holds_rows(part) for part in item.values())
    if isinstance(item, np.ndarray):
        return item.ndim > 1 or (item.ndim == 1 and item.dtype.kind == "f")
    return bool(tf.is_tensor(item)) and item.shape.rank != 0


def _repeats(items: Any) -> int | None:
    """How often the only data set behind the items of a loop repeats itself."""
    if isinstance(items, (enumerate, zip)):
        known = [found for part in _made_of(items) if (found := _repeats(part)) is not None]
        return known[0] if len(known) == 1 else None
    if isinstance(items, dataset_iterator()):
        items = getattr(items, "_dataset", None)
    if not isinstance(items, tf.data.Dataset):
        return None
    times, node = 1, items
    while node is not None:
        if type(node).__name__ == "_RepeatDataset":
            times *= int(node._count)
        node = getattr(node, "_input_dataset", None)
    return times if times > 0 else None


def _made_of(items: Any) -> list[Iterator[Any]]:
    """What an `enumerate` or a `zip` goes through; they tell nothing of it themselves."""
    parts = [one for one in gc.get_referents(items) if isinstance(one, (tuple, Iterator))]
    return [part for part in keras.tree.flatten(parts) if isinstance(part, Iterator)]


def _length(items: Any) -> int | None:
    if isinstance(items, (enumerate, zip)):
        lengths = [_length(part) for part in _made_of(items)]
        known = [one for one in lengths if one is not None]
        return min(known) if known and len(known) == len(lengths) else None
    try:
        if isinstance(items, dataset_iterator()):
            return len(getattr(items, "_dataset"))  # noqa: B009 - of a class that is not public
        if isinstance(items, Iterator):
            length = operator.length_hint(items, -1)
            return None if length < 0 else length
        return len(items)
    except Exception:  # whatever a length of the user's own raises; it is not asked for by the loop
        return None
