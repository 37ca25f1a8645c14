"""Transformed TFRecords, read into an `ExampleStore`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from twintrain.data.example_store import Chunk, ExampleStore, build_store
from twintrain.data.stratified import stratified_share
from twintrain.errors import TwintrainError

_CHUNK, _CHUNK_BYTES = 1000, 64 << 20  # whichever is less


@dataclass(frozen=True)
class TransformedData:
    """Where the transformed examples of a run lie.

    Attributes:
        files: per split ('train', 'eval'), its gzipped TFRecord files.
        image_shape: shape of one image.
        classes: number of labels.
    """

    files: dict[str, tuple[str, ...]]
    image_shape: tuple[int, ...]
    classes: int

    def store(self, split: str, memory_limit_mb: int) -> ExampleStore:
        """All examples of a split, in canonical order."""
        return build_store(_chunks(self.files[split], self.image_shape), memory_limit_mb << 20)


def split_files(uri: str, split: str) -> tuple[str, ...]:
    """The record files of a split of a TFX Examples artifact."""
    return tuple(sorted(str(path) for path in (Path(uri) / f"Split-{split}").glob("*.gz")))


def _chunks(files: Sequence[str], shape: tuple[int, ...]) -> Iterator[Chunk]:
    features = {
        "image": tf.io.FixedLenFeature(shape, tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "example_id": tf.io.FixedLenFeature([], tf.string),
    }
    chunk = max(1, min(_CHUNK, _CHUNK_BYTES // (4 * math.prod(shape))))
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(chunk)
    for batch in records.map(
        lambda serialized: tf.io.parse_example(serialized, features), num_parallel_calls=2
    ):
        yield (
            batch["image"].numpy(),
            batch["label"].numpy(),
            batch["example_id"].numpy().astype(np.bytes_),
        )


def hold_out(store: ExampleStore, fraction: float, seed: int) -> tuple[ExampleStore, ExampleStore]:
    """Split off a stratified share for validation.

    Args:
        store: the training split.
        fraction: share held out, above 0 and at most a half.
        seed: decides which examples.

    Returns:
        (training, validation), both in canonical order; each label that has two examples is in
        both.

    Raises:
        TwintrainError: there are too few examples for both to get one.
    """
    held = stratified_share(store.labels, fraction, seed)
    if not held.any() or held.all():
        raise TwintrainError(
            f"{len(store)} training examples are too few to hold any out for validation.",
            "Use more: raise data.limit or tuning.examples.",
        )
    return store.subset(np.nonzero(~held)[0]), store.subset(np.nonzero(held)[0])
