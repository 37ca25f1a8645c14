"""Queries as tables: of SQLite, read alone, and what is said of a bad one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from twintrain.data.table_files import find_tables
from twintrain.data.table_queries import sources_of
from twintrain.data.table_survey import survey
from twintrain.data.tables import read_table, types_in
from twintrain.errors import TwintrainError

QUERY = "-- database: clinic.sqlite\nSELECT age, town, n FROM visits"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "clinic.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE visits (age REAL, town TEXT, n INTEGER, any)")
        connection.executemany(
            "INSERT INTO visits VALUES (?, ?, ?, ?)",
            [(1.5, "Bern", 3, 1), (None, "Köln", None, "a"), (-2.0, None, -7, 2.5)],
        )
        connection.execute("CREATE VIEW today AS SELECT date('now', '-1 day') AS day")
        connection.execute("CREATE VIEW lately AS SELECT n, day FROM visits, today")
        connection.execute("CREATE VIEW chance AS SELECT random() AS r FROM visits")
    connection.close()
    return path


def query(folder: Path, text: str = QUERY, name: str = "visits.sql") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, object]]:
    return [row for batch in read_table(path) for row in batch.to_pylist()]


def test_joins_and_expressions_give_rows(database: Path) -> None:
    text = "\n-- DataBase:  clinic.sqlite \n-- now()\nWITH v AS (SELECT * FROM visits)\n"
    path = query(database.parent, f"{text}SELECT upper(town) AS town, 2 * age AS twice FROM v")
    assert rows(path) == [
        {"town": "BERN", "twice": 3.0},
        {"town": "KöLN", "twice": None},
        {"town": None, "twice": -4.0},
    ]
    assert types_in(path) == {"town": "BYTES", "twice": "FLOAT"}
    text = "-- database: clinic.sqlite\nSELECT n FROM visits WHERE town IN ('now', 'random() -- x')"
    assert rows(query(database.parent, text)) == []


def test_a_type_that_shows_only_later_counts(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        values = [(None, None, n, None) for n in range(20_000)] + [(0.5, "x", 1, None)]
        connection.executemany("INSERT INTO visits VALUES (?, ?, ?, ?)", values)
    connection.close()
    path = query(database.parent, QUERY + " WHERE n >= 0 AND (age IS NULL OR age = 0.5)")
    assert types_in(path) == {"age": "FLOAT", "town": "BYTES", "n": "INT"}
    assert sum(len(batch) for batch in read_table(path, types_in(path))) == 20_001


def test_no_rows_are_a_table_of_none(database: Path) -> None:
    path = query(database.parent, QUERY + " WHERE age > 100")
    assert rows(path) == []
    assert list(types_in(path)) == ["age", "town", "n"]


@pytest.mark.parametrize("log", ["clinic.sqlite-wal", "clinic.sqlite.wal"])
def test_the_database_is_part_of_the_data_with_its_log(database: Path, log: str) -> None:
    path = query(database.parent)
    assert find_tables(database.parent).sources() == [path, database]
    beside = database.with_name(log)
    beside.write_bytes(b"")
    assert sources_of([path]) == [path, database]
    beside.write_bytes(b"rows")
    assert sources_of([path]) == [path, database, beside]


def test_reading_leaves_nothing_behind_and_sees_what_is_in_the_log(database: Path) -> None:
    path = query(database.parent)
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("INSERT INTO visits VALUES (9, 'Ulm', 9, 9)")
    writer.commit()
    assert len(rows(path)) == 4
    assert database.with_name("clinic.sqlite-wal") in sources_of([path])
    writer.close()
    before = sorted(database.parent.iterdir())
    assert len(rows(path)) == 4
    assert sorted(database.parent.iterdir()) == before == [database, path]


def test_half_a_transaction_is_never_read(database: Path) -> None:
    """Also where the writer's cache was spilled into the file."""
    path = query(database.parent, QUERY.replace("age, town, n", "n"))
    with sqlite3.connect(database) as connection:
        connection.executemany(
            "INSERT INTO visits VALUES (0, ?, 1, 0)", [("x" * 500,) for _ in range(400)]
        )
    connection.close()
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("PRAGMA cache_size=5")
    writer.execute("BEGIN")
    writer.execute("UPDATE visits SET n = 2, town = town || 'y'")
    assert database.with_name("clinic.sqlite-journal") in sources_of([path])
    with pytest.raises(TwintrainError, match=r"is being written.*database is locked"):
        rows(path)
    writer.execute("ROLLBACK")
    writer.close()
    assert {row["n"] for row in rows(path)} == {1, 3, None, -7}


def test_sqlite_is_this_pythons_and_not_tensorflows() -> None:
    """Whichever is loaded first serves the process."""
    asked = "import sqlite3; print(sqlite3.sqlite_version)"
    plain, ours = (
        subprocess.run(
            [sys.executable, "-c", before + asked], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        for before in ("", "import pipelines, tensorflow; ")
    )
    assert ours == plain


def test_tables_that_a_module_reads_are_read(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5(said)")
        connection.execute("INSERT INTO words VALUES ('some words'), ('others')")
    connection.close()
    head = "-- database: clinic.sqlite\n"
    path = query(database.parent, f"{head}SELECT said FROM words WHERE words MATCH 'words'")
    assert rows(path) == [{"said": "some words"}]
    path = query(database.parent, f"{head}SELECT value AS v FROM json_each('[1, 2]')")
    assert rows(path) == [{"v": 1}, {"v": 2}]


def test_kinds_may_not_change_from_one_batch_to_the_next(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM visits")
        connection.executemany(
            "INSERT INTO visits VALUES (?, '', 1, 1)", [(n,) for n in range(16_384)] + [("?",)]
        )
    connection.close()
    with pytest.raises(TwintrainError, match=r"several kinds \(float, str\) in column 'age'"):
        rows(query(database.parent))


def test_a_column_without_values_in_one_file_takes_the_type_of_the_other(database: Path) -> None:
    train = query(database.parent, QUERY + " WHERE age > 0", "train.sql")
    test = query(database.parent, QUERY + " WHERE age IS NULL", "test.sql")
    kinds = {name: column.kind for name, column in survey([train, test]).columns.items()}
    assert kinds == {"age": "FLOAT", "town": "BYTES", "n": "INT"}
    assert types_in(test)["age"] == "BYTES"


def test_sql_that_names_no_database_is_no_table(database: Path) -> None:
    visits = query(database.parent)
    query(database.parent, "CREATE TABLE rows (n)", "create.sql")
    assert find_tables(database.parent).files() == [visits]
    visits.unlink()
    (database.parent / "rows.csv").write_text("a\n1\n")
    query(database.parent, "SELECT 1", "export.sql")
    assert find_tables(database.parent).patterns == {"all": "*.csv"}
    with pytest.raises(TwintrainError, match="does not say which database"):
        rows(database.parent / "export.sql")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1", "does not say which database"),
        ("", "does not say which database"),
        ("-- database: other.sqlite\nSELECT 1", "asks 'other.sqlite', and there is no such file"),
        (QUERY.replace("town", "city"), "fails: no such column: city"),
        (QUERY.replace("visits", "visit"), "fails: no such table: visit"),
        (QUERY.replace("SELECT", "SELCT"), "fails: near"),
        ("-- database: clinic.sqlite\n", "gives no rows"),
        ("-- database: clinic.sqlite\nSELECT age, age FROM visits", "the column 'age' twice"),
        ("-- database: clinic.sqlite\nSELECT any FROM visits", "several kinds (float, int, str)"),
        ("-- database: clinic.sqlite\nDELETE FROM visits", "does more than read"),
        ("-- database: clinic.sqlite\nATTACH 'x' AS y", "does more than read"),
        ("-- database: clinic.sqlite\nPRAGMA table_info(visits)", "does more than read"),
        (QUERY + " ORDER BY random()", "does more than read"),
        ("-- database: clinic.sqlite\nSELECT '--' AS s, random() AS r", "does more than read"),
        ("-- database: clinic.sqlite\nSELECT julianday('now') AS d", "'now' is another"),
        ('-- database: clinic.sqlite\nSELECT date("now") AS d', '"now" is another'),
        ("-- database: clinic.sqlite\nSELECT strftime('%s') AS d", "strftime('%s') is another"),
        ("-- database: clinic.sqlite\nSELECT current_date AS d", "does more than read"),
        ("-- database: clinic.sqlite\nSELECT datetime() AS d", "datetime() is another"),
        ("-- database: clinic.sqlite\nSELECT * FROM lately", "'now' is another"),
        ("-- database: clinic.sqlite\nSELECT * FROM chance", "does more than read"),
        (QUERY + "; DROP TABLE visits", "one statement"),
    ],
)
def test_what_is_wrong_is_said(database: Path, text: str, said: str) -> None:
    path = query(database.parent, text)
    with pytest.raises(TwintrainError) as raised:
        rows(path)
    assert said in raised.value.problem
    assert raised.value.remedy
    assert len(rows(query(database.parent, QUERY, "right.sql"))) == 3


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "clinic.sqlite").write_text("something else")
    with pytest.raises(TwintrainError, match=r"DuckDB|cannot|fails"):
        rows(query(tmp_path))
    (tmp_path / "clinic.sqlite").write_bytes(b"SQLite format 3\0" + b"\1" * 2000)
    with pytest.raises(TwintrainError, match=r"fails: file is not a database"):
        rows(query(tmp_path))


def test_queries_of_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "clinic.duckdb")) as connection:
        connection.execute("CREATE TABLE visits AS SELECT 1.5 AS age, 'Bern' AS town, 3 AS n")
    path = query(tmp_path, QUERY.replace("sqlite", "duckdb"))
    assert types_in(path) == {"age": "FLOAT", "town": "BYTES", "n": "INT"}
    assert [
        row
        for batch in read_table(path, {"age": "FLOAT", "town": "BYTES"})
        for row in batch.to_pylist()
    ] == [{"age": 1.5, "town": "Bern"}]
    found = rows(query(tmp_path, "-- database: clinic.duckdb\nSELECT 'now() --' AS said"))
    assert found == [{"said": "now() --"}]
    for text, said in (
        ("DROP TABLE visits", "read-only"),
        ("SELECT * FROM other", "other"),
        ("SELECT random ( ) AS r", "another in every reading"),
        ("SELECT * FROM visits USING SAMPLE 1", "another in every reading"),
        ("SELECT now() AS r", "another in every reading"),
        ("SELECT 'now'::timestamp AS r", "another in every reading"),
        ("SELECT * FROM read_csv('x.csv')", "disabled"),
    ):
        with pytest.raises(TwintrainError, match=said):
            rows(query(tmp_path, f"-- database: clinic.duckdb\n{text}"))
