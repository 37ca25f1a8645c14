"""The user's data, held still: both sides get the same rows in the same order, and each row can be
recognised again.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.errors import TwintrainError

# Enough for a few dozen steps of an ordinary batch size; what is behind is not needed to see how a
# loop treats data.
MOST_BATCHES = 32
# For code that only runs on all of its data.
MOST_ROWS = 20_000


@dataclass
class Rows:
    """One split.

    Attributes:
        element: nest of arrays as `make_dataset` yields them, all rows together.
        batch: rows in a batch.
        fixed: the batch dimension is static, so a partial batch cannot occur.
        keys: per row, what it is recognised by.
        cut: the user's data goes on behind these rows.
    """

    element: Any
    batch: int
    fixed: bool
    keys: list[bytes]
    cut: bool = False

    def __len__(self) -> int:
        return len(self.keys)

    def dataset(self) -> tf.data.Dataset:
        """The rows as a batched data set like the user's own."""
        return tf.data.Dataset.from_tensor_slices(self.element).batch(
            self.batch, drop_remainder=self.fixed
        )

    def shortened(self, rows: int, shuffled_targets: bool) -> Rows:
        """The first rows only; with targets dealt out anew a validation loss soon rises."""
        count = min(rows, len(self))
        element = keras.tree.map_structure(lambda a: a[:count], self.element)
        if shuffled_targets and isinstance(element, tuple) and len(element) > 1:
            order = np.random.default_rng(0).permutation(count)
            element = (
                element[0],
                keras.tree.map_structure(lambda a: a[order], element[1]),
                *element[2:],
            )
        return Rows(element, min(self.batch, max(1, count // 4)), self.fixed, self.keys[:count])

    def reordered(self) -> tuple[Rows, np.ndarray]:
        """The same rows at other places, and which of these rows stands at each."""
        order = np.roll(np.arange(len(self)), self.batch + self.batch // 2 + 1)
        element = keras.tree.map_structure(lambda a: a[order], self.element)
        return Rows(element, self.batch, self.fixed, [self.keys[i] for i in order], self.cut), order

    def part(self, number: int) -> Any:
        """Inputs (0), targets (1) or weights (2) of all rows, None where there are none."""
        if not isinstance(self.element, tuple):
            return self.element if number == 0 else None
        return self.element[number] if len(self.element) > number else None


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
    batches = _taken(dataset, where, most)
    if not batches:
        raise TwintrainError(f"{where} is empty.", "It must yield at least one batch.")
    return _joined(batches, where, dataset, cut=most is None and len(batches) > MOST_BATCHES)


def _taken(dataset: tf.data.Dataset, where: str, most: int | None) -> list[Any]:
    """The first batches as nests of arrays: one more than `MOST_BATCHES`, or until there are more
    than `most` rows.
    """
    batches: list[Any] = []
    for batch in itertools.islice(dataset, MOST_BATCHES + 1 if most is None else None):
        if most is not None and batches and len(batches) * _rows_in(batches[0]) > most:
            break
        if any(isinstance(t, tf.RaggedTensor) for t in tf.nest.flatten(batch)):
            raise TwintrainError(
                f"{where} yields ragged batches.",
                "Pad them: `padded_batch`, or `to_tensor` in a map.",
            )
        batches.append(keras.tree.map_structure(lambda t: np.array(t), batch))
    return batches


def _rows_in(batch: Any) -> int:
    return len(keras.tree.flatten(batch)[0])


def _joined(batches: list[Any], where: str, dataset: tf.data.Dataset, cut: bool) -> Rows:
    """All rows of the batches together."""
    _check_shapes(batches, where)
    size = max(_rows_in(batch) for batch in batches)
    element = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
    static = all(
        spec.shape.rank and spec.shape[0] is not None
        for spec in tf.nest.flatten(dataset.element_spec)
    )
    rows = _rows_in(element)
    if cut and not static:
        # Cut within a batch: whether a side drops a partial last batch must stay visible.
        rows = rows - rows % size - size + max(1, size // 3)
        element = keras.tree.map_structure(lambda a: a[:rows], element)
    inputs = element[0] if isinstance(element, tuple) else element
    return Rows(element, size, static, keys_of(inputs), cut)


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


def as_rows(inputs: Any) -> np.ndarray:
    """A nest of batch tensors as one float32 matrix, a row per example."""
    parts = [np.asarray(t) for t in keras.tree.flatten(inputs)]
    if any(part.dtype.kind in "OSU" for part in parts):
        parts = [
            np.vectorize(lambda s: float(int(hashlib.md5(bytes(s)).hexdigest()[:6], 16)))(p)
            for p in parts
        ]
    return np.concatenate(
        [part.astype(np.float32).reshape(len(part), -1) for part in parts], axis=1
    )


def keys_of(inputs: Any) -> list[bytes]:
    """Per row, a digest of its values."""
    return [hashlib.blake2b(row.tobytes(), digest_size=12).digest() for row in as_rows(inputs)]
