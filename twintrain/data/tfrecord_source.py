"""Transformed TFRecords, read into an `ExampleStore`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from twintrain.data.example_spec import EXAMPLE_ID, WEIGHT, ExampleSpec
from twintrain.data.example_store import Chunk, ExampleStore, Inputs, build_store
from twintrain.data.stratified import stratified_share
from twintrain.errors import TwintrainError

_CHUNK, _CHUNK_BYTES = 1000, 64 << 20  # whichever is less


@dataclass(frozen=True)
class TransformedData:
    """Where the transformed examples of a run lie.

    Attributes:
        files: per split ('train', 'eval'), its gzipped TFRecord files.
        spec: the columns they hold.
    """

    files: dict[str, tuple[str, ...]]
    spec: ExampleSpec

    def store(self, split: str, memory_limit_mb: int) -> ExampleStore:
        """All examples of a split, in canonical order; those of training with their weights."""
        spec = replace(self.spec, weighted=self.spec.weighted and split == "train")
        return build_store(_chunks(self.files[split], spec), memory_limit_mb << 20)

    def slice_values(self, columns: Mapping[str, str], texts: bool) -> dict[str, np.ndarray]:
        """What test examples are sliced by.

        Args:
            columns: by slice key, the name of the column that holds it.
            texts: whether these hold texts; whole numbers otherwise.

        Returns:
            by slice key, str or int64 [test examples], in canonical order.
        """
        kind = tf.string if texts else tf.int64
        features = {name: tf.io.FixedLenFeature([], kind) for name in columns.values()}
        features[EXAMPLE_ID] = tf.io.FixedLenFeature([], tf.string)
        records = tf.data.TFRecordDataset(list(self.files["eval"]), compression_type="GZIP")
        parts = [tf.io.parse_example(batch, features) for batch in records.batch(_CHUNK)]
        ids = np.concatenate([part[EXAMPLE_ID].numpy().astype(np.bytes_) for part in parts])
        order = np.argsort(ids, kind="stable")
        found = {}
        for key, name in columns.items():
            values = np.concatenate([part[name].numpy() for part in parts])[order]
            found[key] = np.array([value.decode() for value in values]) if texts else values
        return found


def split_files(uri: str, split: str) -> tuple[str, ...]:
    """The record files of a split of a TFX Examples artifact."""
    return tuple(sorted(str(path) for path in (Path(uri) / f"Split-{split}").glob("*.gz")))


def _chunks(files: Sequence[str], spec: ExampleSpec) -> Iterator[Chunk]:
    features = {
        column.name: tf.io.FixedLenFeature(column.shape, tf.as_dtype(column.dtype))
        for column in (*spec.inputs, spec.target)
    }
    features[EXAMPLE_ID] = tf.io.FixedLenFeature([], tf.string)
    if spec.weighted:
        features[WEIGHT] = tf.io.FixedLenFeature([], tf.float32)
    beside = [WEIGHT] if spec.weighted else []
    size = sum(np.dtype(one.dtype).itemsize * math.prod(one.shape) for one in spec.inputs)
    chunk = max(1, min(_CHUNK, _CHUNK_BYTES // size))
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(chunk)
    for batch in records.map(
        lambda serialized: tf.io.parse_example(serialized, features), num_parallel_calls=2
    ):
        names = [*(column.name for column in spec.inputs), *beside]
        columns = {name: batch[name].numpy() for name in names}
        inputs: Inputs = columns if spec.named else columns[spec.only.name]
        yield inputs, batch[spec.target.name].numpy(), batch[EXAMPLE_ID].numpy().astype(np.bytes_)


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
    held = stratified_share(store.targets, fraction, seed)
    if not held.any() or held.all():
        raise TwintrainError(
            f"{len(store)} training examples are too few to hold any out for validation.",
            "Use more: raise data.limit or tuning.examples.",
        )
    return store.subset(np.nonzero(~held)[0]), store.subset(np.nonzero(held)[0])
