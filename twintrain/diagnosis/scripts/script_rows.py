"""The rows that the trainings of a script are about, so that both sides can be given the same ones.

They are those that enter `fit` as arrays, or those that its data set yields when nothing is
shuffled; where there is no `fit`, those the loop trains on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.scripts.entries import Entry, as_arrays, rows_of, taken
from twintrain.diagnosis.scripts.lookout import Seen
from twintrain.diagnosis.scripts.served import TARGETS, Base, Place, Served, block_of
from twintrain.diagnosis.scripts.trainings import Training
from twintrain.diagnosis.watch.frozen_rows import MOST_BATCHES, Rows, keys_of, rows_to_keep


@dataclass(frozen=True)
class Feed:
    """How the rows of a script can be replaced.

    Attributes:
        bases: what enters where, of both splits.
        total, test_total: training rows of the script, and rows it holds out; None where that is
            not known.
        replaceable: rows can be replaced by index, on both sides.
        why_not: in words, where they cannot.
    """

    bases: dict[Place, Base]
    total: int | None
    replaceable: bool
    why_not: str = ""
    test_total: int | None = None


def feed_of(parts: list[tuple[Training, Seen]]) -> Feed:
    """Find how the rows of both sides enter.

    Args:
        parts: each training, with what was seen of its program; the one of `fit` first.
    """
    first, seen = parts[0]
    given = first.fit.given if first.fit is not None else {}
    total, train = _all_rows(first, seen, given)
    bases: dict[Place, Base] = {}
    for training, its in parts:
        arrays = training.fit.given.get("x") if training.fit is not None else None
        if rows_of(arrays) is not None and not training.feeds:
            if rows_of(arrays) == total:
                continue  # replaced where `fit` is called
            return Feed({}, total, False, f"{training.describe()} trains on other rows")
        if not training.feeds or total is None:
            return Feed({}, total, False, f"how rows reach {training.describe()} was not seen")
        for entry in training.feeds:
            base = _base(entry, its, "train", total, train)
            if base is None:
                why = f"the rows of {training.describe()} could not be matched"
                return Feed({}, total, False, why)
            bases[entry.file, entry.line, base.count] = base
    return _with_test(Feed(bases, total, True), parts)


def _all_rows(first: Training, seen: Seen, given: dict[str, Any]) -> tuple[int | None, Any]:
    """How many training rows there are, and these, as they enter; None where they do not."""
    count = rows_of(given.get("x"))
    if count is not None and not first.feeds:
        return count, (given["x"], given.get("y"))
    longest = max(
        (seen.arrays[entry] for entry in first.feeds),
        key=lambda arrays: rows_of(arrays) or 0,
        default=None,
    )
    return rows_of(longest), longest


def _base(entry: Entry, seen: Seen, split: str, total: int, rows: Any) -> Base | None:
    """What the arrays of an entry are among all rows of a split; None where that is not known."""
    arrays = seen.arrays[entry]
    count = rows_of(arrays)
    if count is None:
        return None
    part = None if isinstance(arrays, (tuple, dict)) else _part(arrays, rows)
    if count == total:
        return Base(split, part, 0, count)
    inputs = arrays[0] if isinstance(arrays, tuple) else arrays
    first = block_of(inputs, rows[0] if isinstance(rows, tuple) else rows)
    return None if first is None else Base(split, part, first, count)


def _part(arrays: Any, rows: Any) -> int | None:
    """Whether arrays that enter alone are the targets."""
    if not isinstance(rows, tuple) or len(rows) <= TARGETS or rows[TARGETS] is None:
        return None
    return TARGETS if block_of(arrays, rows[TARGETS]) is not None else None


def _with_test(feed: Feed, parts: list[tuple[Training, Seen]]) -> Feed:
    """Add what else enters with as many rows as the validation data has."""
    count = held_out_count(parts)
    if count is None:
        return feed
    bases = dict(feed.bases)
    for _, seen in parts:
        for entry, arrays in seen.arrays.items():
            place = entry.file, entry.line, count
            if rows_of(arrays) != count:
                continue
            known = bases.get(place)
            if known is not None and known.split == "train":
                return replace(feed, replaceable=False, why_not="both splits have as many rows")
            bases[place] = Base("test", None, 0, count)
    return replace(feed, bases=bases, test_total=count)


def held_out_data(parts: list[tuple[Training, Seen]]) -> Any:
    """What is held out, as arrays (x, y) or as a data set; None where nothing is."""
    for training, _ in parts:
        held = training.fit.given.get("validation_data") if training.fit is not None else None
        if held is not None:
            return held
    for training, seen in parts:
        for given in seen.evaluated:
            data = given.get("x")
            if isinstance(data, tf.data.Dataset):
                return data
            if rows_of(data) is not None and given.get("y") is not None:
                is_train = rows_of(data) == _train_count(training, seen)
                if not is_train:
                    return data, given["y"]
    return None


def held_out_count(parts: list[tuple[Training, Seen]]) -> int | None:
    """Rows of the held-out data as it enters; None where that is not known."""
    held = held_out_data(parts)
    if isinstance(held, (tuple, list)):
        return rows_of(held[0])
    entries = [entry for training, _ in parts for entry in training.held_out]
    counts = {
        rows_of(seen.arrays[entry])
        for _, seen in parts
        for entry in entries
        if entry in seen.arrays
    }
    return counts.pop() if len(counts) == 1 else None


def _train_count(training: Training, seen: Seen) -> int | None:
    given = training.fit.given if training.fit is not None else {}
    return _all_rows(training, seen, given)[0]


def rows_from_arrays(arrays: tuple[Any, ...], batch: int, whole: bool = False) -> Rows:
    """The first rows of arrays, a few dozen batches of them, or all."""
    total = rows_of(arrays[0]) or 0
    count = _kept(total, batch, whole)
    places = np.arange(count)
    parts = as_arrays(tuple(taken(part, places) for part in arrays if part is not None))
    # Lists would be stacked to one tensor by tf.data.
    element = tuple(tuple(part) if isinstance(part, list) else part for part in parts)
    element = element if len(element) > 1 else element[0]
    inputs = element[0] if isinstance(element, tuple) else element
    return Rows(element, batch, False, keys_of(inputs), count < total, total, places, places)


def _kept(total: int, batch: int, whole: bool) -> int:
    enough = batch * (MOST_BATCHES + 1)
    return total if whole or total <= enough else rows_to_keep(enough, batch, False, total)


def shell(total: int, batch: int, whole: bool) -> Rows:
    """The places of the first rows of data that was not read yet, or of all."""
    count = _kept(total, batch, whole)
    places = np.arange(count)
    return Rows(places, batch, False, [b""] * count, count < total, total, places, places)


def rows_from_steps(steps: list[Any], batch: int, total: int | None) -> Rows:
    """The rows that steps were seen to train on, in their order."""
    elements = [_element(step) for step in steps]
    element = keras.tree.map_structure(
        lambda *parts: np.concatenate([np.array(part) for part in parts]), *elements
    )
    inputs = element[0] if isinstance(element, tuple) else element
    keys = keys_of(inputs)
    places = np.arange(len(keys))
    cut = total is not None and total > len(keys)
    return Rows(element, batch, False, keys, cut, total or len(keys), places, places)


def _element(step: Any) -> Any:
    if isinstance(step.element, tuple):
        return step.element
    targets = [call.targets for call in step.losses if call.targets is not None]
    return (step.inputs, targets[0]) if targets else step.inputs


def served(feed: Feed, train: Rows, test: Rows | None) -> Served | None:
    """Rows to put in; None where they cannot be replaced."""
    if not feed.replaceable:
        return None
    return Served(feed.bases, train, test, feed.total, feed.test_total)
