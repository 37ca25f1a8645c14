"""Tables in TFRecord files of tf.train.Example: a column per feature, one value in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twintrain.data.table_rows import ROWS, one_line
from twintrain.errors import TwintrainError

ENDINGS = (".tfrecord", ".tfrecord.gz", ".tfrecords", ".tfrecords.gz")
_LISTS = ("int64_list", "float_list", "bytes_list")
Records = npt.NDArray[np.object_]


def read_records(path: Path, types: Mapping[str, str] | None) -> Iterator[Any]:
    """The examples of a file, in record batches with the types that they have; a feature that an
    example does not have, or of which it has no value, is missing.

    Args:
        path: of the file.
        types: features that are wanted, whatever their type is called there; None for all.

    Yields:
        `pyarrow.RecordBatch`; in each of them the columns that came up so far.

    Raises:
        TwintrainError: the file is damaged, no tf.train.Example is in it, or a wanted feature has
            several values in one, or is of another kind in some.
    """
    import pyarrow as pa

    kinds: dict[str, str] = {}
    first = 1
    for records in _records(path):
        _add_kinds(path, records, types, first, kinds)
        columns = _columns(path, records, kinds, first)
        gaps = {name: pa.nulls(len(records)) for name in types or () if name not in kinds}
        columns |= gaps
        yield pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
        first += len(records)


def is_records(path: Path) -> bool:
    """Whether a file's name is that of TFRecords."""
    return path.name.lower().endswith(ENDINGS)


def _records(path: Path) -> Iterator[Records]:
    """Serialized examples."""
    import tensorflow as tf

    compression = "GZIP" if path.name.lower().endswith(".gz") else ""
    try:
        for batch in tf.data.TFRecordDataset(str(path), compression).batch(ROWS):
            yield batch.numpy()
    except tf.errors.OpError as error:
        raise TwintrainError(
            f"{path} cannot be read as TFRecords: {_said(error)}.", "Mend it."
        ) from error


def _said(error: Any) -> str:
    return one_line(Exception(error.message.partition("{{")[0].partition("[Op:")[0]))


def _features(path: Path, record: bytes, number: int) -> Mapping[str, Any]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        found: Mapping[str, Any] = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise TwintrainError(
            f"{path}: record {number} is no tf.train.Example.", "Mend the file."
        ) from error
    return found


def _add_kinds(
    path: Path,
    records: Records,
    types: Mapping[str, str] | None,
    first: int,
    kinds: dict[str, str],
) -> None:
    """Add, of each feature that has a value here for the first time, the kind of its values."""
    for place, record in enumerate(records):
        if types is not None and len(kinds) == len(types):
            return
        features = _features(path, record, first + place)
        for name in features:
            if name in kinds or not (types is None or name in types):
                continue
            kind = features[name].WhichOneof("kind")
            if kind in _LISTS and len(getattr(features[name], kind).value):
                kinds[name] = kind


def _columns(path: Path, records: Records, kinds: Mapping[str, str], first: int) -> dict[str, Any]:
    import tensorflow as tf

    if not kinds:
        return {}
    dtypes = dict(zip(_LISTS, (tf.int64, tf.float32, tf.string), strict=True))
    wanted = {name: tf.io.VarLenFeature(dtypes[kind]) for name, kind in kinds.items()}
    try:
        found = tf.io.parse_example(records, wanted)
    except tf.errors.InvalidArgumentError as error:
        raise _unlike(path, records, kinds, first, _said(error)) from error
    return {
        name: _array(path, name, found[name], len(records), first, kind)
        for name, kind in kinds.items()
    }


def _array(path: Path, name: str, cells: Any, rows: int, first: int, kind: str) -> Any:
    """A column, of a sparse tensor [rows, values in one]."""
    import pyarrow as pa

    places, values = cells.indices.numpy(), cells.values.numpy()
    further = np.flatnonzero(places[:, 1])
    if len(further):
        row = int(places[further[0], 0])
        count = int((places[:, 0] == row).sum())
        raise TwintrainError(
            f"{path}: record {first + row} has {count} values of {name!r}.",
            "Leave the feature out, or make a feature of each value.",
        )
    column = np.zeros(rows, values.dtype)
    column[places[:, 0]] = values
    missing = np.ones(rows, bool)
    missing[places[:, 0]] = False
    return pa.array(column, pa.binary() if kind == "bytes_list" else None, mask=missing)


def _unlike(
    path: Path, records: Records, kinds: Mapping[str, str], first: int, said: str
) -> TwintrainError:
    """What to say of records that could not be read: which one is unlike the others."""
    for place, record in enumerate(records):
        for name, feature in _features(path, record, first + place).items():
            kind = feature.WhichOneof("kind")
            if name in kinds and kind not in (None, kinds[name]):
                return TwintrainError(
                    f"{path}: {name!r} has values of several kinds: {kind} in record "
                    f"{first + place}, {kinds[name]} before.",
                    "Write it with one of them.",
                )
    return TwintrainError(f"{path} cannot be read as tf.Examples: {said}.", "Mend it.")
