"""Tables as examples: splits that last, gaps, samples, spans."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
import tensorflow as tf
from tfx.types import standard_component_specs as specs
from tfx.types.standard_artifacts import Examples

from components.table_example_gen import (
    TableExampleGen,
    TableExampleGenExecutor,
    fingerprint,
    rows_left_out,
)
from twintrain.errors import TwintrainError

TYPES = {"n": "INT", "x": "FLOAT", "s": "BYTES"}


def write(path: Path, rows: range) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{n},{'' if n % 3 == 0 else n / 2},t{n % 5}" for n in rows)
    path.write_text("n,x,s\n" + "\n".join(lines) + "\n")
    return path


def read(node: TableExampleGen, folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Per split, the values of each example by its id."""
    properties = dict(node.exec_properties)
    executor = TableExampleGenExecutor()
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        for split, rows in executor.GenerateExamplesByBeam(pipeline, properties).items():
            (folder / split).mkdir(parents=True)
            rows | split >> beam.io.WriteToTFRecord(str(folder / split / "rows"))
    return {
        place.name: dict(
            _values(record)
            for file in place.glob("rows*")
            for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
        )
        for place in folder.iterdir()
    }


def _values(record: bytes) -> tuple[str, dict[str, Any]]:
    feature = tf.train.Example.FromString(record).features.feature
    found = {}
    for name in feature:
        kind = feature[name].WhichOneof("kind")
        found[name] = list(getattr(feature[name], kind).value) if kind else []
    return found.pop("example_id")[0].decode(), found


def test_rows_keep_their_split_when_the_table_grows(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", range(100))
    before = read(TableExampleGen(path, TYPES), tmp_path / "before")
    write(path, range(150))
    after = read(TableExampleGen(path, TYPES), tmp_path / "after")
    assert set(before) == {"train", "eval"}
    assert sum(map(len, before.values())) == 100
    assert sum(map(len, after.values())) == 150
    for split, rows in before.items():
        assert rows.items() <= after[split].items()
        assert rows


def test_gaps_are_empty_and_types_are_the_schemas(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", range(20))
    found = read(TableExampleGen(path, TYPES | {"n": "FLOAT"}), tmp_path / "out")
    rows = [row for split in found.values() for row in split.values()]
    assert sorted(row["n"][0] for row in rows) == [float(n) for n in range(20)]
    assert {tuple(row["x"]) for row in rows if row["n"][0] % 3 == 0} == {()}
    assert all(row["x"] == [row["n"][0] / 2] for row in rows if row["n"][0] % 3)
    assert {row["s"][0] for row in rows} == {b"t%d" % n for n in range(5)}


def test_given_splits_are_kept_and_a_limit_is_shared_out(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train.csv", range(200))
    write(tmp_path / "data" / "test.csv", range(200, 250))
    node = TableExampleGen(tmp_path / "data", TYPES, limit=50)
    found = read(node, tmp_path / "out")
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": pytest.approx(40, abs=2),
        "eval": pytest.approx(10, abs=2),
    }
    assert all(row["n"][0] >= 200 for row in found["eval"].values())


def test_a_sample_is_the_same_each_time_and_of_both_splits(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", range(300))
    one, other = (
        read(TableExampleGen(path, TYPES, limit=60), tmp_path / name) for name in ("a", "b")
    )
    assert one == other
    assert sum(map(len, one.values())) == 60
    assert min(map(len, one.values())) >= 3


def test_equal_rows_are_told_apart_and_stay_together(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("n,x,s\n" + "1,1,a\n" * 5 + "2,2,b\n")
    found = read(TableExampleGen(path, TYPES), tmp_path / "out")
    places = [split for split, rows in found.items() for row in rows.values() if row["n"] == [1]]
    assert len(places) == 5
    assert len(set(places)) == 1


def test_a_key_names_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", range(10))
    found = read(TableExampleGen(path, TYPES, key="n"), tmp_path / "out")
    assert {name for rows in found.values() for name in rows} == {str(n) for n in range(10)}


@pytest.mark.parametrize("limit", [None, 12])
def test_rows_that_cannot_be_read_are_left_out_and_listed(
    tmp_path: Path, limit: int | None
) -> None:
    path = write(tmp_path / "t.csv", range(40))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:6], "often,1,t1", *lines[6:], "7"]) + "\n")
    node = TableExampleGen(path, TYPES, limit=limit, unreadable=0.1)
    artifact = Examples()
    artifact.uri = str(tmp_path / "made")
    TableExampleGenExecutor().Do({}, {"examples": [artifact]}, dict(node.exec_properties))
    found = rows_left_out(artifact.uri)
    assert [(row.line, row.why) for row in found] == [
        (7, "column 'n': 'often' is not a whole number"),
        (43, "1 cells, and 3 columns"),
    ]
    records = [str(file) for file in Path(artifact.uri).rglob("*.gz")]
    count = len(list(tf.data.TFRecordDataset(records, compression_type="GZIP")))
    assert count == (limit or 40)
    assert TableExampleGen(path, TYPES).exec_properties != node.exec_properties


def test_the_span_is_the_drivers_to_number(tmp_path: Path) -> None:
    for span in (3, 12):
        write(tmp_path / f"span-{span}" / "t.csv", range(span))
    node = TableExampleGen(tmp_path, TYPES, span=3)
    assert "span-{SPAN}/*.csv" in node.exec_properties[specs.INPUT_CONFIG_KEY]
    one, other = fingerprint(tmp_path, 3), fingerprint(tmp_path, 12)
    assert one != other
    write(tmp_path / "span-3" / "t.csv", range(4))
    assert fingerprint(tmp_path, 3) != one


def test_a_row_without_its_key_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", range(10))
    with pytest.raises((TwintrainError, RuntimeError), match="rows without 'x'"):
        read(TableExampleGen(path, TYPES, key="x"), tmp_path / "out")


def database(folder: Path, rows: int) -> None:
    """A database of rows, and queries for its training rows (short) and test rows (long)."""
    (folder / "rows.sqlite").unlink(missing_ok=True)
    connection = sqlite3.connect(folder / "rows.sqlite")
    connection.execute("CREATE TABLE rows (n INTEGER, x REAL, s TEXT)")
    given = [(n, n / 2 if n % 3 else None, f"t{n % 5}") for n in range(rows)]
    connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", given)
    connection.commit()
    connection.close()
    head, test = "-- database: rows.sqlite\n", f"-- {'a long comment ' * 50}\n"
    (folder / "train.sql").write_text(f"{head}SELECT * FROM rows WHERE n % 10")
    (folder / "test.sql").write_text(f"{head}{test}SELECT * FROM rows WHERE NOT n % 10")


def test_a_feature_that_no_example_of_a_split_has_is_said(tmp_path: Path) -> None:
    def put(name: str, **values: list[int]) -> None:
        features = {
            key: tf.train.Feature(int64_list=tf.train.Int64List(value=given))
            for key, given in values.items()
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            writer.write(example.SerializeToString())

    put("train-0.tfrecord", n=[1], income=[2])
    put("train-1.tfrecord", n=[2])
    put("test.tfrecord", n=[3])
    with pytest.raises(Exception, match=r"test\.tfrecord has a value of 'income'"):
        read(TableExampleGen(tmp_path, {"n": "INT", "income": "INT"}), tmp_path / "rows")
    put("test.tfrecord", n=[3], income=[])
    found = read(TableExampleGen(tmp_path, {"n": "INT"}), tmp_path / "others")
    assert {split: len(rows) for split, rows in found.items()} == {"train": 2, "eval": 1}


def test_what_a_database_holds_is_content_of_the_data(tmp_path: Path) -> None:
    database(tmp_path, 100)
    before = TableExampleGen(tmp_path, TYPES).exec_properties, fingerprint(tmp_path, None)
    assert (TableExampleGen(tmp_path, TYPES).exec_properties, fingerprint(tmp_path, None)) == before
    database(tmp_path, 101)
    after = TableExampleGen(tmp_path, TYPES).exec_properties, fingerprint(tmp_path, None)
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_a_sample_of_queries_is_shared_out_by_their_rows(tmp_path: Path) -> None:
    database(tmp_path, 400)
    found = read(TableExampleGen(tmp_path, TYPES, limit=100), tmp_path / "rows")
    assert {split: len(rows) for split, rows in found.items()} == {"train": 90, "eval": 10}
