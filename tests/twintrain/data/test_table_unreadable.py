"""Which rows of a CSV file are left out, and that what is left can be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintrain.data import table_unreadable
from twintrain.data.table_unreadable import UnreadableRow, readable_part, shown
from twintrain.data.tables import read_table
from twintrain.errors import TwintrainError

TYPES = {"n": "INT", "x": "FLOAT", "s": "BYTES"}
GOOD = [f"{n},{n / 2},t{n}" for n in range(20)]


def rows_of(
    path: Path, share: float = 0.5, types: dict[str, str] = TYPES
) -> tuple[list[dict[str, object]], list[UnreadableRow]]:
    left_out: list[UnreadableRow] = []
    with readable_part(path, types, share, left_out) as part:
        return [row for batch in read_table(part, types) for row in batch.to_pylist()], left_out


def write(path: Path, *lines: str | bytes) -> Path:
    raw = [line.encode() if isinstance(line, str) else line for line in ("n,x,s", *lines)]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("often,1,a", "column 'n': 'often' is not a whole number"),
        ("1.5,1,a", "column 'n': '1.5' is not a whole number"),
        ("99999999999999999999,1,a", "is not a whole number"),
        (" ,1,a", "column 'n': ' ' is not a whole number"),
        ("3\xa0,1,a", "is not a whole number"),
        ("１２,1,a", "column 'n': '１２' is not a whole number"),
        ("1, NA,a", "column 'x': ' NA' is not a number"),
        ("1_000,1,a", "column 'n': '1_000' is not a whole number"),
        ("1,1.2.3,a", "column 'x': '1.2.3' is not a number"),
        ("1,1", "2 cells, and 3 columns"),
        ("1,1,a,b", "4 cells, and 3 columns"),
        (b"1,1,caf\xe9", "column 's' is no text in UTF-8"),
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_with_the_reason(
    tmp_path: Path, line: str | bytes, why: str
) -> None:
    path = write(tmp_path / "t.csv", *GOOD[:7], line, *GOOD[7:])
    rows, left_out = rows_of(path)
    assert [row["n"] for row in rows] == list(range(20))
    (found,) = left_out
    assert (found.file, found.line, found.lines) == ("t.csv", 9, 1)
    assert why in found.why
    with pytest.raises(TwintrainError):
        rows_of(path, share=0)


@pytest.mark.parametrize(
    "line",
    [
        "NA,,",
        " 3 ,1e-3,",
        "-3,.5,'",
        '4,5,"a, ""b"""',
        "1234567890123456789,+1,a",
        "0x1F,inf,a\ufffdb",
        "007,nan," + "a" * 140_000,
        '1,1,5" pipe',
    ],
)
def test_what_can_be_read_is_taken_as_it_is_without(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "t.csv", *GOOD, line, "", "bad,1,a")
    alone = write(tmp_path / "alone.csv", *GOOD, line)
    assert rows_of(path)[0] == rows_of(alone, share=0)[0]


def test_more_than_is_allowed_stops(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", *GOOD, "a,1,a", "b,1,b", "c,1,c", "d,1,d")
    with pytest.raises(TwintrainError, match=r"4 of 24 lines.*allows 10\.00%.*line 22.*1 more"):
        rows_of(path, share=0.1)


def test_too_many_to_list_is_no_question_of_the_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_unreadable, "_MOST", 2)
    path = write(tmp_path / "t.csv", *GOOD, "a,1,a", "b,1,b")
    with pytest.raises(TwintrainError, match=r"2 rows of .* too many to list: t\.csv, line 22"):
        rows_of(path, share=0.5)


def test_an_open_quotation_mark_counts_for_all_it_swallows(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", *GOOD, '5,1,"open', *GOOD)
    with pytest.raises(TwintrainError, match=r"allows 40\.00%.*mark is not closed"):
        rows_of(path, share=0.4)
    _, (row,) = rows_of(write(tmp_path / "u.csv", *GOOD, '5,1,"a', 'b",c'), share=0.4)
    assert str(row) == "u.csv, line 22 to 23: 4 cells, and 3 columns"


def test_columns_that_are_not_wanted_may_hold_anything(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", *GOOD, b"21,?,caf\xe9")
    rows, left_out = rows_of(path, types={"n": "INT"})
    assert (len(rows), left_out) == (21, [])


def test_other_tables_and_whole_files_are_read_as_they_lie(tmp_path: Path) -> None:
    whole = write(tmp_path / "t.csv", *GOOD)
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    other = tmp_path / "t.parquet"
    for path in (whole, packed, other):
        with readable_part(path, TYPES, 0.5, []) as part:
            assert part == path


def test_a_list_is_cut(tmp_path: Path) -> None:
    rows = [UnreadableRow("t.csv", line, 1, "why") for line in range(5)]
    assert shown(rows).endswith("line 2: why; and 2 more")


def test_a_quotation_mark_within_a_cell_opens_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", '1,1,5" pipe', '2,1,"two', 'lines"', "bad,1,a")
    rows, left_out = rows_of(path)
    assert [row["s"] for row in rows] == ['5" pipe', "two\nlines"]
    assert [row.line for row in left_out] == [5]


def test_what_is_no_gzip_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv.gz", *GOOD)
    with pytest.raises(TwintrainError, match="cannot be read as a table"):
        rows_of(path)


SIGNS = ["1", "", "x", '"', ",", "\n", "é", "\0", "NA", "-", " ", "\xa0", "１", "+", "9" * 19, "."]


@given(st.lists(st.sampled_from(SIGNS), max_size=40))
def test_what_is_left_can_be_read_and_what_could_be_is_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, signs: list[str]
) -> None:
    path = tmp_path_factory.mktemp("odd") / "t.csv"
    path.write_text("n,x,s\n1,1,a\n" + "".join(signs), encoding="utf-8")
    try:
        rows, left_out = rows_of(path)
    except TwintrainError as error:
        assert "data.unreadable_rows allows" in str(error)  # noqa: PT017 - others are none
        return
    assert rows[0] == {"n": 1, "x": 1.0, "s": "a"}
    try:
        whole, _ = rows_of(path, share=0)
    except TwintrainError:
        assert left_out
    else:
        assert (rows, left_out) == (whole, [])
