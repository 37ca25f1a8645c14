"""The user's data, held still: both sides get the same rows in the same order, and each row can be
recognised again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.stopwatch import Timer
from twintrain.errors import TwintrainError

# Enough for a few dozen steps of an ordinary batch size; what is behind is not needed to see how a
# loop treats data.
MOST_BATCHES = 32
# For code that only runs on all of its data.
MOST_ROWS = 20_000
# Time for counting the rows behind those that are kept; most data is through sooner.
COUNTING_SECONDS = 4.0
# Share of rows with the same target as before from which dealing them out says little.
MOSTLY_SAME = 0.6


@dataclass
class Rows:
    """One split.

    Attributes:
        element: nest of arrays as `make_dataset` yields them, all rows together.
        batch: rows in a batch.
        fixed: the batch dimension is static, so a partial batch cannot occur.
        keys: per row, what it is recognised by.
        cut: the user's data goes on behind these rows.
        total: rows of the user's data; None where it goes on for longer than it was counted.
        inputs_at, targets_at: places in the user's data where inputs and targets stood; None where
            both are the first rows, in order.
    """

    element: Any
    batch: int
    fixed: bool
    keys: list[bytes]
    cut: bool = False
    total: int | None = None
    inputs_at: np.ndarray | None = None
    targets_at: np.ndarray | None = None

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the inputs and the targets stood in the user's data."""
        first = np.arange(len(self))
        inputs = first if self.inputs_at is None else self.inputs_at
        return inputs, inputs if self.targets_at is None else self.targets_at

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def amount(self) -> str:
        """How many rows these are, and of how many."""
        if not self.cut:
            return f"{len(self):,} rows"
        of = "" if self.total is None else f" of {self.total:,}"
        return f"the first {len(self):,}{of} rows"

    def dataset(self) -> tf.data.Dataset:
        """The rows as a batched data set like the user's own."""
        return tf.data.Dataset.from_tensor_slices(self.element).batch(
            self.batch, drop_remainder=self.fixed
        )

    def shortened(self, rows: int, shuffled_targets: bool) -> Rows:
        """The first rows only; with targets dealt out anew a validation loss soon rises.

        They end in a partial batch only if the data does: code that drops one would differ from
        code that does not.
        """
        count = min(rows, len(self))
        batch = self.batch if self.fixed else min(self.batch, max(1, count // 4))
        if self.fixed or len(self) % self.batch == 0:
            count = max(batch, count - count % batch)
        element = keras.tree.map_structure(lambda a: a[:count], self.element)
        inputs, targets = (at[:count] for at in self.places)
        if shuffled_targets and isinstance(element, tuple) and len(element) > 1:
            order = _dealt_out(np.asarray(keras.tree.flatten(element[1])[0]))
            targets = targets[order]
            dealt = keras.tree.map_structure(lambda a: a[order], element[1])
            element = (element[0], dealt, *element[2:])
        return Rows(
            element, batch, self.fixed, self.keys[:count], inputs_at=inputs, targets_at=targets
        )

    def chosen(self, places: np.ndarray) -> Rows:
        """The rows at these places."""
        element = keras.tree.map_structure(lambda a: a[places], self.element)
        inputs, targets = (at[places] for at in self.places)
        keys = [self.keys[i] for i in places]
        return Rows(element, self.batch, False, keys, inputs_at=inputs, targets_at=targets)

    def reordered(self) -> tuple[Rows, np.ndarray]:
        """The same rows at other places, and which of these rows stands at each."""
        order = np.roll(np.arange(len(self)), self.batch + self.batch // 2 + 1)
        element = keras.tree.map_structure(lambda a: a[order], self.element)
        keys = [self.keys[i] for i in order]
        inputs, targets = (at[order] for at in self.places)
        moved = Rows(element, self.batch, self.fixed, keys, self.cut, self.total, inputs, targets)
        return moved, order

    def part(self, number: int) -> Any:
        """Inputs (0), targets (1) or weights (2) of all rows, None where there are none."""
        if not isinstance(self.element, tuple):
            return self.element if number == 0 else None
        return self.element[number] if len(self.element) > number else None


def _dealt_out(targets: np.ndarray) -> np.ndarray:
    """Which row's targets each row gets. Where most rows have the same, another order changes
    little, and a validation loss falls for long: then every second row gets another class.
    """
    order = np.random.default_rng(0).permutation(len(targets))
    rows = targets.reshape(len(targets), -1)
    same = (rows[order] == rows).all(axis=1)
    if same.mean() <= MOSTLY_SAME or targets.dtype.kind not in "biuf":
        return order
    classes, first, places = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    places = places.reshape(-1)
    places[::2] = (places[::2] + 1) % len(classes)
    return first[places]


def hold(make_dataset: Callable[[str], Any], split: str, most: int | None = None) -> Rows:
    """Read a split of the user's: a few dozen batches of it, or that many rows.

    Raises:
        TwintrainError: it is not a batched `tf.data.Dataset`, is empty, or its batches cannot be
            put together.
    """
    dataset = make_dataset(split)
    where = f'make_dataset("{split}")'
    if not isinstance(dataset, tf.data.Dataset):
        raise TwintrainError(
            f"{where} returns {type(dataset).__name__}.", "Return a batched tf.data.Dataset."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise TwintrainError(
            f"{where} never ends.",
            "Leave `.repeat()` out; each epoch makes one pass over the data.",
        )
    iterator = iter(dataset)
    batches = _taken(iterator, where, most)
    if not batches:
        raise TwintrainError(f"{where} is empty.", "It must yield at least one batch.")
    _check_shapes(batches, where)
    behind = _count(iterator)
    return _joined(batches, _is_static(dataset), behind)


def _taken(iterator: Iterator[Any], where: str, most: int | None) -> list[Any]:
    """The first batches as nests of arrays: one more than `MOST_BATCHES`, or than `most` rows."""
    batches: list[Any] = []
    for batch in iterator:
        if any(isinstance(t, tf.RaggedTensor) for t in tf.nest.flatten(batch)):
            raise TwintrainError(
                f"{where} yields ragged batches.",
                "Pad them: `padded_batch`, or `to_tensor` in a map.",
            )
        batches.append(keras.tree.map_structure(lambda t: np.array(t), batch))
        enough = MOST_BATCHES if most is None else most / max(1, _rows_in(batches[0]))
        if len(batches) > enough:
            break
    return batches


def _count(iterator: Iterator[Any]) -> int | None:
    """Rows that are left; None where there is no end to them in the time for counting."""
    timer = Timer(COUNTING_SECONDS)
    rows = 0
    for batch in iterator:
        rows += _rows_in(batch)
        if timer.over:
            return None
    return rows


def _is_static(dataset: tf.data.Dataset) -> bool:
    """Whether all batches have the same number of rows by their type."""
    specs = tf.nest.flatten(dataset.element_spec)
    return all(spec.shape.rank and spec.shape[0] is not None for spec in specs)


def _rows_in(batch: Any) -> int:
    return len(keras.tree.flatten(batch)[0])


def _joined(batches: list[Any], static: bool, behind: int | None) -> Rows:
    """All rows of the batches together, cut where there are more behind them."""
    size = max(_rows_in(batch) for batch in batches)
    element = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
    total = None if behind is None else _rows_in(element) + behind
    if behind != 0:
        rows = rows_to_keep(_rows_in(element), size, static, total)
        element = keras.tree.map_structure(lambda a: a[:rows], element)
    inputs = element[0] if isinstance(element, tuple) else element
    return Rows(element, size, static, keys_of(inputs), behind != 0, total)


def rows_to_keep(rows: int, size: int, static: bool, total: int | None) -> int:
    """How many rows to keep of data that goes on.

    They end as all of the data does: with a partial batch of as many rows, or with a full batch.
    So it stays visible whether a side drops a partial last batch, and none is invented. Where the
    end was not reached there is one, because most data has one.
    """
    whole = max(1, rows // size - 1) * size
    if static:
        return whole
    return whole + (max(1, size // 3) if total is None else total % size)


def _check_shapes(batches: list[Any], where: str) -> None:
    shapes = [[array.shape for array in keras.tree.flatten(batch)] for batch in batches]
    first = shapes[0]
    if any(shape == () for shape in first) or len({shape[0] for shape in first}) != 1:
        found = ", ".join(str(shape) for shape in first)
        raise TwintrainError(
            f"{where} does not yield batches: its tensors have the shapes {found}.",
            "Every tensor needs the same first dimension; end with `.batch(32)`.",
        )
    rows = [[shape[1:] for shape in found] for found in shapes]
    if any(found != rows[0] for found in rows):
        raise TwintrainError(
            f"{where} yields batches of different shapes: {first} and others.",
            "Pad all rows to one length: `padded_batch(..., padded_shapes=...)`.",
        )


def as_rows(inputs: Any, like: Any = None) -> np.ndarray:
    """A nest of batch tensors as one float32 matrix, a row per example.

    Args:
        inputs: the nest.
        like: the data's own; where that goes by names, and these come one after the other, they are
            put into its order, as far as their widths tell.
    """
    parts = [np.asarray(t) for t in keras.tree.flatten(inputs)]
    if isinstance(like, dict) and isinstance(inputs, (list, tuple)):
        parts = _ordered_like(like, parts)
    if any(part.dtype.kind in "OSU" for part in parts):
        parts = [
            np.vectorize(lambda s: float(int(hashlib.sha256(bytes(s)).hexdigest()[:6], 16)))(p)
            for p in parts
        ]
    return np.concatenate(
        [part.astype(np.float32).reshape(len(part), -1) for part in parts], axis=1
    )


def _ordered_like(like: dict[str, Any], parts: list[np.ndarray]) -> list[np.ndarray]:
    """Parts in the order of the widths that others have; as they are where these are not theirs."""
    wanted = [_width(np.asarray(part)) for part in keras.tree.flatten(like)]
    if sorted(wanted) != sorted(map(_width, parts)):
        return parts
    left = list(parts)
    return [left.pop(next(i for i, p in enumerate(left) if _width(p) == w)) for w in wanted]


def _width(part: np.ndarray) -> int:
    return int(np.prod(part.shape[1:]))


def keys_of(inputs: Any, like: Any = None) -> list[bytes]:
    """Per row, a digest of its values; `like` as for `as_rows`."""
    rows = as_rows(inputs, like)
    return [hashlib.blake2b(row.tobytes(), digest_size=12).digest() for row in rows]
