"""Which files of a directory are the tables of a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from twintrain.data.table_files import find_tables
from twintrain.errors import TwintrainError


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("a\n1\n")
    return folder


def test_files_of_no_split_are_held_out_from(tmp_path: Path) -> None:
    found = find_tables(put(tmp_path, "b.csv", "a.csv", "notes.txt"))
    assert (found.patterns, found.given, found.span) == ({"all": "*.csv"}, False, None)
    assert [path.name for path in found.files()] == ["a.csv", "b.csv"]


@pytest.mark.parametrize("other", ["test", "eval"])
def test_files_may_be_of_a_split(tmp_path: Path, other: str) -> None:
    found = find_tables(put(tmp_path, "train-1.parquet", "train-2.parquet", f"{other}.parquet"))
    assert found.given
    assert found.patterns == {"train": "train*.parquet", "eval": f"{other}*.parquet"}


def test_one_file_is_enough(tmp_path: Path) -> None:
    found = find_tables(put(tmp_path, "rows.csv") / "rows.csv")
    assert (found.base, found.patterns) == (tmp_path, {"all": "rows.csv"})


def test_of_spans_the_newest_is_taken(tmp_path: Path) -> None:
    for span in (1, 2, 10):
        put(tmp_path / f"span-{span}", "rows.csv")
    assert find_tables(tmp_path).span == 10
    found = find_tables(tmp_path, 2)
    assert found.patterns == {"all": "span-{SPAN}/*.csv"}
    assert found.files() == [tmp_path / "span-2" / "rows.csv"]


def test_a_span_is_complete_when_its_writer_says_so(tmp_path: Path) -> None:
    put(tmp_path / "span-1", "rows.csv", "_SUCCESS")
    put(tmp_path / "span-2", "rows.csv")
    assert find_tables(tmp_path).span == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "holds no table"),
        (["notes.txt"], "holds no table"),
        (["a.csv", "b.parquet"], "several kinds: .csv, .parquet"),
        (["train.csv", "more.csv"], "has files train* and none test*"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, names: list[str], expected: str) -> None:
    with pytest.raises(TwintrainError) as error:
        find_tables(put(tmp_path, *names))
    assert expected in error.value.problem


def test_a_place_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="There is no data at"):
        find_tables(tmp_path / "nowhere.csv")
