"""TFRecords of tf.Examples as tables, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from twintrain.data.table_survey import survey
from twintrain.data.tables import read_table, types_in
from twintrain.errors import TwintrainError


def example(**values: Any) -> bytes:
    features = {}
    for name, given in values.items():
        cells = given if isinstance(given, list) else [given]
        if all(isinstance(cell, int) for cell in cells):
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=cells))
        elif all(isinstance(cell, float) for cell in cells):
            feature = tf.train.Feature(float_list=tf.train.FloatList(value=cells))
        else:
            texts = [cell.encode() if isinstance(cell, str) else cell for cell in cells]
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
        features[name] = feature
    features["empty"] = tf.train.Feature()
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def written(path: Path, *records: bytes) -> Path:
    options = tf.io.TFRecordOptions(compression_type="GZIP" if path.suffix == ".gz" else "")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)
    return path


def rows(path: Path, types: dict[str, str] | None = None) -> list[dict[str, Any]]:
    return [row for batch in read_table(path, types) for row in batch.to_pylist()]


@pytest.mark.parametrize("name", ["rows.tfrecord", "rows.tfrecords.gz"])
def test_features_are_columns_and_gaps_are_missing(name: str, tmp_path: Path) -> None:
    path = written(
        tmp_path / name,
        example(age=1.5, town="Bern", n=3),
        example(town="Köln", n=[]),
        example(age=-2.0, n=-7),
    )
    types = types_in(path)
    assert types == {"age": "FLOAT", "town": "BYTES", "n": "INT"}
    assert rows(path, types) == [
        {"age": 1.5, "town": "Bern", "n": 3},
        {"age": None, "town": "Köln", "n": None},
        {"age": -2.0, "town": None, "n": -7},
    ]
    assert rows(path, {"n": "FLOAT"}) == [{"n": 3.0}, {"n": None}, {"n": -7.0}]


def test_a_feature_that_comes_late_is_missing_before(tmp_path: Path) -> None:
    path = written(tmp_path / "t.tfrecord", *[example(n=1)] * 16_384, example(n=2, late=0.5))
    assert types_in(path) == {"n": "INT", "late": "FLOAT"}
    assert rows(path, types_in(path))[-2:] == [{"n": 1, "late": None}, {"n": 2, "late": 0.5}]


def test_a_feature_that_no_example_of_a_file_has_is_missing(tmp_path: Path) -> None:
    one = written(tmp_path / "part-0.tfrecord", example(n=1, late=0.5))
    other, empty = written(tmp_path / "part-1.tfrecord", example(n=2)), tmp_path / "p.tfrecord"
    written(empty)
    assert survey([other, one, empty]).columns["late"].kind == "FLOAT"
    assert rows(other, {"n": "INT", "late": "FLOAT"}) == [{"n": 2, "late": None}]
    assert rows(empty, {"n": "INT"}) == []


def test_several_values_matter_only_where_they_are_wanted(tmp_path: Path) -> None:
    path = written(tmp_path / "t.tfrecord", example(n=1, pixels=[1, 2]))
    assert rows(path, {"n": "INT"}) == [{"n": 1}]
    with pytest.raises(TwintrainError, match="record 1 has 2 values of 'pixels'"):
        rows(path)


@pytest.mark.parametrize(
    ("records", "types", "said"),
    [
        ([example(n=1), b"\xff\xff\xff"], None, "record 2 is no tf.train.Example"),
        (
            [example(n=1), example(n="a")],
            None,
            r"'n' has values of several kinds: bytes_list in record 2, int64_list before",
        ),
        ([example(n=1.5)], {"n": "INT"}, "'n' is not a whole number throughout"),
        ([example(n=b"\xff")], {"n": "BYTES"}, "'n' is not text throughout"),
    ],
)
def test_what_is_wrong_is_said(
    records: list[bytes], types: dict[str, str] | None, said: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "t.tfrecord", *records)
    with pytest.raises(TwintrainError, match=said):
        rows(path, types)


@pytest.mark.parametrize("name", ["t.tfrecord", "t.tfrecord.gz"])
def test_a_damaged_file_is_said(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, *[example(n=n) for n in range(50)])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(TwintrainError, match="cannot be read as TFRecords"):
        rows(path)
    path.write_bytes(b"no records at all, but some text")
    with pytest.raises(TwintrainError, match="cannot be read as TFRecords"):
        rows(path)
