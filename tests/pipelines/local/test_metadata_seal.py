from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.local.metadata_seal import check_seal, open_seal, seal
from twintrain.errors import TwintrainError


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "metadata.sqlite"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE a (b INTEGER)")
        made.execute("INSERT INTO a VALUES (21)")
    return path


def test_what_the_last_run_left_is_well(database: Path) -> None:
    seal(database)
    check_seal(database)


def test_a_figure_that_became_another_is_seen(database: Path) -> None:
    seal(database)
    with closing(sqlite3.connect(database)) as changed, changed:
        changed.execute("UPDATE a SET b = 22")
        assert changed.execute("PRAGMA quick_check").fetchone() == ("ok",)
    with pytest.raises(
        TwintrainError, match=r"metadata\.sqlite is not what the last run left"
    ) as e:
        check_seal(database)
    assert "delete metadata.sqlite.sha256" in e.value.remedy


def test_a_seal_that_was_changed_is_seen(database: Path) -> None:
    seal(database)
    beside = database.with_name("metadata.sqlite.sha256")
    beside.write_bytes(beside.read_bytes().replace(b"metadata", b"metadatb"))
    with pytest.raises(TwintrainError):
        check_seal(database)


def test_while_a_run_writes_and_after_it_was_killed_there_is_none(database: Path) -> None:
    seal(database)
    open_seal(database)
    with closing(sqlite3.connect(database)) as changed, changed:
        changed.execute("UPDATE a SET b = 22")
    check_seal(database)


def test_a_file_with_an_unfinished_transaction_is_not_sealed(database: Path) -> None:
    """Whoever opens it next takes that back, and so changes the file."""
    database.with_name("metadata.sqlite-journal").write_bytes(b"half")
    seal(database)
    assert not database.with_name("metadata.sqlite.sha256").exists()


def test_nothing_is_asked_of_a_fresh_root(tmp_path: Path) -> None:
    seal(tmp_path / "metadata.sqlite")
    check_seal(tmp_path / "metadata.sqlite")
    open_seal(tmp_path / "metadata.sqlite")
    assert not list(tmp_path.iterdir())
