"""Tables in files: types, gaps, ids that last, and what is said of a bad one."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.odd_inputs import NEARLY_RIGHT, refusal
from twintrain.data.tables import RowIds, csv_header, read_table, types_in
from twintrain.errors import TwintrainError

TYPES = {"age": "FLOAT", "town": "BYTES", "n": "INT"}
ROWS = [
    {"age": 1.5, "town": "Bern", "n": 3},
    {"age": None, "town": "Köln, am Rhein", "n": None},
    {"age": -2.0, "town": None, "n": -7},
]
CSV = 'town,n,age\nBern,3,1.5\n"Köln, am Rhein",,NA\n,-7,-2\n'


def written(folder: Path, kind: str) -> Path:
    path = folder / f"rows{kind}"
    if kind == ".csv":
        path.write_text(CSV, encoding="utf-8-sig")
    elif kind == ".csv.gz":
        path.write_bytes(gzip.compress(CSV.encode()))
    elif kind == ".parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        fields = [
            {"name": "age", "type": ["null", "double"]},
            {"name": "town", "type": ["null", "string"]},
            {"name": "n", "type": ["null", "long"]},
        ]
        with path.open("wb") as file:
            fastavro.writer(file, {"type": "record", "name": "r", "fields": fields}, ROWS)
    return path


@pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".parquet", ".avro"])
def test_every_kind_of_file_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, kind)
    assert [row for batch in read_table(path, TYPES) for row in batch.to_pylist()] == ROWS
    if kind != ".avro":  # whose batches have the types of their rows
        assert types_in(path) == TYPES


def test_whole_numbers_are_numbers_and_booleans_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,true\n2,false\n")
    (batch,) = read_table(path, {"a": "FLOAT", "b": "BYTES"})
    assert batch.to_pydict() == {"a": [1.0, 2.0], "b": ["true", "false"]}


def test_a_type_is_that_of_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,1\n" * 5 + "1.5,x\n")
    assert types_in(path) == {"a": "FLOAT", "b": "BYTES"}


@pytest.mark.parametrize(
    ("text", "types", "expected"),
    [
        ("a,b\n1,2\nx,3\n", {"a": "INT"}, "line 3, column 'a': 'x' is not a whole number"),
        ("a,b\n1,2\n3\n", {"a": "INT"}, "Expected 2 columns, got 1"),
        ("a,b\n1,2\n", {"c": "INT"}, "has no column 'c'"),
        ("a,a\n1,2\n", {"a": "INT"}, "the name 'a' is there 2 times"),
        ("", {"a": "INT"}, "it is empty"),
        ("a\n1.5\n", {"a": "INT"}, "line 2, column 'a': '1.5' is not"),
    ],
)
def test_a_bad_table_is_said_with_row_and_column(
    text: str, types: dict[str, str], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TwintrainError, match=expected) as error:
        list(read_table(path, types))
    assert "bad.csv" in error.value.problem


def test_a_column_of_another_type_in_parquet_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": ["1", "two"]}), path)
    with pytest.raises(TwintrainError, match="'a' is not a whole number throughout"):
        list(read_table(path, {"a": "INT"}))
    parquet.write_table(pa.table({"a": [[1], [2]]}), path)
    with pytest.raises(TwintrainError, match="holds list"):
        types_in(path)


def test_names_in_another_encoding_are_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("age,gr\u00f6sse\n1,2\n".encode("latin-1"))
    for look in (csv_header, types_in, lambda p: list(read_table(p, {"age": "INT"}))):
        with pytest.raises(TwintrainError, match="is not UTF-8 text"):
            look(path)


def test_text_in_another_encoding_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("a\nKöln\n".encode("latin-1"))
    with pytest.raises(TwintrainError, match=r"t\.csv cannot be read as a table.*UTF8"):
        list(read_table(path, {"a": "BYTES"}))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["x", "y", None])), min_size=1),
    st.randoms(),
)
def test_ids_depend_on_what_rows_hold_and_not_on_where_they_stand(
    rows: list[tuple[int, str | None]], random: object
) -> None:
    def ids_of(order: list[tuple[int, str | None]], at_once: int) -> list[tuple[str, object]]:
        ids, found = RowIds(None), []
        for start in range(0, len(order), at_once):
            part = order[start : start + at_once]
            batch = pa.RecordBatch.from_pydict(
                {
                    "n": pa.array([n for n, _ in part], pa.int64()),
                    "s": pa.array([s for _, s in part], pa.string()),
                }
            )
            found += zip(ids.of(batch)[0], part, strict=True)
        return found

    one = ids_of(rows, 100)
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    other = ids_of(mixed, 2)
    assert len({name for name, _ in one}) == len(rows)
    assert sorted(map(str, one)) == sorted(map(str, other))


def test_ids_do_not_depend_on_the_order_of_columns() -> None:
    columns = {"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]}
    one, other = (
        RowIds(None).of(pa.RecordBatch.from_pydict({name: columns[name] for name in order}))[0]
        for order in ("abc", "cab")
    )
    assert one == other


def test_equal_rows_are_of_one_split() -> None:
    batch = pa.RecordBatch.from_pydict({"n": [1, 2, 1]})
    _, numbers = RowIds(None).of(batch)
    assert numbers[0] == numbers[2] != numbers[1]


def test_a_key_names_its_rows() -> None:
    batch = pa.RecordBatch.from_pydict({"k": ["a", "b"], "n": [1, 2]})
    other = pa.RecordBatch.from_pydict({"k": ["a", "b"], "n": [5, 6]})
    ids, numbers = RowIds("k").of(batch)
    assert ids == ["a", "b"]
    np.testing.assert_array_equal(numbers, RowIds("k").of(other)[1])


def test_two_rows_of_one_key_are_said() -> None:
    ids = RowIds("k")
    ids.of(pa.RecordBatch.from_pydict({"k": ["a", "b"]}))
    with pytest.raises(TwintrainError, match="Two rows have k = 'b'"):
        ids.of(pa.RecordBatch.from_pydict({"k": ["c", "b"]}))


@pytest.mark.parametrize("name", ["csv", "avro", "tfrecord", "sql", "sqlite"])
@NEARLY_RIGHT
@given(random=st.randoms(use_true_random=False))
def test_a_table_that_is_nearly_right_is_taken_or_refused(name: str, random: Random) -> None:
    told = refusal(name, random)
    # Which file it is, in words that can be printed.
    file = {"sqlite": "query.sql"}.get(name, f"rows.{name}")
    assert told is None or (file in told.problem and told.problem.isprintable())


def test_equal_rows_are_equal_whatever_stands_beside_them(tmp_path: Path) -> None:
    """A gap in a column of whole numbers, or its size, changes no other row's id."""
    large = [2**53, 2**53 + 1]
    whole = pa.RecordBatch.from_pydict({"n": [3, *large], "t": ["a", "b", "c"]})
    gaps = pa.RecordBatch.from_pydict({"n": [None, *large, 3], "t": ["x", "b", "c", "a"]})
    ids, numbers = RowIds(None).of(whole)
    others, further = RowIds(None).of(gaps)
    assert ids == [others[3], *others[1:3]]
    assert numbers.tolist() == further[[3, 1, 2]].tolist()
    assert len(set(others)) == 4
    alone = pa.RecordBatch.from_pydict({"n": [2**53, 2**53 + 1]})
    assert len(set(RowIds(None).of(alone)[1].tolist())) == 2


def test_names_of_columns_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,"b, c",d\n1,2,3\n')
    assert csv_header(path) == ["a", "b, c", "d"]


def test_ids_are_what_they_were() -> None:
    """Of another id a row may be of the other split: a new pandas must not change them unseen."""
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([1, 2], pa.int64()),
            pa.array(["x", None], pa.string()),
            pa.array([0.5, None], pa.float32()),
        ],
        ["n", "s", "f"],
    )
    assert RowIds(None).of(batch)[0] == ["26eb200c5d9aafba", "c4d1ce1690ec24cf"]
    numbers = RowIds("n").of(batch)[1].tolist()
    assert numbers == [15289156711003816966, 15865429583590377110]
