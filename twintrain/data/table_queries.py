"""Tables that a database is asked for: files of SQL whose first line names the database.

    -- database: clinic.sqlite
    SELECT age, town, visits FROM patients JOIN towns USING (town_id)

A query is a table like any other: `train.sql` and `test.sql` are splits, and what it is made of,
the query and the database, counts as its content. Databases are files, SQLite's or DuckDB's, and
are only read.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twintrain.data.table_rows import ROWS, one_line
from twintrain.errors import TwintrainError, shortened

ENDING = ".sql"
_NAMED = re.compile(r"\s*--\s*database:\s*(\S.*?)\s*$", re.IGNORECASE)
_SQLITE = b"SQLite format 3\0"
# Beside a SQLite file lies what was written and is not in it yet.
_BESIDE = ("-wal",)
_READING = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)
# Functions that would give other rows in every reading.
_CHANCE = frozenset({"random", "randomblob"})
_CHANCE_IN_DUCKDB = re.compile(
    r"\b(random|uuid|gen_random_uuid)\s*\(|\b(using\s+sample|tablesample)\b", re.IGNORECASE
)


def read_query(path: Path) -> Iterator[Any]:
    """The rows a query gives, in record batches with the types that the database has.

    Raises:
        TwintrainError: the file does not name a database, that cannot be read, or the query fails.
    """
    database, query = _parts(path)
    with database.open("rb") as file:
        is_sqlite = file.read(len(_SQLITE)) == _SQLITE
    yield from (_of_sqlite if is_sqlite else _of_duckdb)(path, database, query)


def sources_of(files: Iterable[Path]) -> list[Path]:
    """What the rows of some files come from: they themselves, and the databases that queries among
    them ask.

    Raises:
        TwintrainError: a query does not name a database that is there.
    """
    found: dict[Path, None] = {}
    for file in files:
        found[file] = None
        if file.name.lower().endswith(ENDING):
            database = _parts(file)[0]
            beside = (database.with_name(database.name + end) for end in _BESIDE)
            found |= dict.fromkeys([database, *(one for one in beside if one.is_file())])
    return list(found)


def _parts(path: Path) -> tuple[Path, str]:
    """The database that a file names, and its query."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TwintrainError(f"{path} cannot be read: {one_line(error)}.", "Mend it.") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    named = _NAMED.match(first)
    if named is None:
        raise TwintrainError(
            f"{path} does not say which database its query is for.",
            "Let it begin with a line: -- database: FILE",
        )
    database = path.parent / named[1]
    try:
        there = database.is_file()
    except (OSError, ValueError):  # no name of a file
        there = False
    if not there:
        raise TwintrainError(
            f"{path} asks {shortened(repr(named[1]), 200)}, and there is no such file.",
            "Name it relative to the query's own folder, in its first line.",
        )
    return database, text


def _of_sqlite(path: Path, database: Path, query: str) -> Iterator[Any]:
    connection = sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)
    try:
        connection.set_authorizer(_may)
        cursor = connection.execute(query)
        names = _names(path, [column[0] for column in cursor.description or ()])
        rows = cursor.fetchmany(ROWS)
        yield _batch(path, names, rows)
        while rows := cursor.fetchmany(ROWS):
            yield _batch(path, names, rows)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _failed(path, database, error) from error
    finally:
        connection.close()


def _may(action: int, one: str | None, other: str | None, *_: str | None) -> int:
    """Whether a statement may do something: SQLite asks while it prepares it."""
    chance = action == sqlite3.SQLITE_FUNCTION and (other or "").lower() in _CHANCE
    return sqlite3.SQLITE_OK if action in _READING and not chance else sqlite3.SQLITE_DENY


def _names(path: Path, found: Iterable[Any]) -> list[str]:
    names = [str(name) for name in found]
    twice = [name for name in names if names.count(name) > 1]
    if not names or twice:
        what = f"the column {twice[0]!r} twice" if twice else "no rows"
        raise TwintrainError(
            f"The query in {path} gives {what}.",
            "Ask for columns of different names: SELECT … AS name.",
        )
    return names


def _batch(path: Path, names: list[str], rows: list[Any]) -> Any:
    import pyarrow as pa

    columns = []
    for place, name in enumerate(names):
        cells = [row[place] for row in rows]
        try:
            columns.append(pa.array(cells))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            kinds = sorted({type(cell).__name__ for cell in cells if cell is not None})
            raise TwintrainError(
                f"The query in {path} gives values of several kinds ({', '.join(kinds)}) in column "
                f"{name!r}.",
                f"Make them one: SELECT CAST({name} AS …) AS {name}.",
            ) from None
    return pa.RecordBatch.from_arrays(columns, names)


def _of_duckdb(path: Path, database: Path, query: str) -> Iterator[Any]:
    try:
        import duckdb
    except ImportError:
        raise TwintrainError(
            f"{path} asks {database.name}, which is no SQLite database; DuckDB's need the package "
            "duckdb.",
            "pip install duckdb",
        ) from None
    if _CHANCE_IN_DUCKDB.search(query):
        raise _doing_more(path, "it draws by chance")
    try:
        with duckdb.connect(
            str(database), read_only=True, config={"enable_external_access": "false"}
        ) as connection:
            answer = connection.sql(query)
            names = _names(path, [] if answer is None else answer.columns)
            # As it is called before version 2.
            read = getattr(answer, "to_arrow_reader", None) or answer.fetch_arrow_reader
            rows = 0
            for batch in read(ROWS):
                rows += len(batch)
                yield batch
            if not rows:
                yield _batch(path, names, [])
    except duckdb.Error as error:
        raise _failed(path, database, error) from error


def _failed(path: Path, database: Path, error: Exception) -> TwintrainError:
    said = one_line(error)
    if "not authorized" in said:
        return _doing_more(path, said)
    return TwintrainError(
        f"The query in {path}, asked of {database.name}, fails: {said}.", "Correct it."
    )


def _doing_more(path: Path, said: str) -> TwintrainError:
    return TwintrainError(
        f"The query in {path} does more than read: {said}.",
        "Leave it a SELECT of the database's own rows, the same in every reading.",
    )
