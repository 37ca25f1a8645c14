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
# What was written to a database and is not in its file yet: SQLite's name of it, and DuckDB's.
_LOGS = ("-wal", ".wal")
_READING = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)
# What would give other rows in another reading: chance, and the clock, which functions of time ask
# where they are given no time.
_VARYING = re.compile(
    r"\b(random|randomblob|uuid|uuidv4|uuidv7|gen_random_uuid|now|today|get_current_\w+"
    r"|transaction_timestamp)\s*\("
    r"|\b(using\s+sample|tablesample|current_date|current_time|current_timestamp"
    r"|localtimestamp)\b"
    r"|'now'"
    r"|\b(date|time|datetime|julianday|unixepoch)\s*\(\s*\)"
    r"|\bstrftime\s*\(\s*'[^']*'\s*\)",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
# Tables that are read by a module (FTS5, R-tree, json_each) are declared by it when they are read.
_DECLARING = {(sqlite3.SQLITE_UPDATE, "sqlite_master"), (sqlite3.SQLITE_PRAGMA, "data_version")}


def read_query(path: Path) -> Iterator[Any]:
    """The rows a query gives, in record batches with the types that the database has.

    Raises:
        TwintrainError: the file does not name a database, that cannot be read, or the query fails.
    """
    database, query = _parts(path)
    varying = _VARYING.search(_COMMENT.sub(" ", query))
    if varying is not None:
        raise _doing_more(path, f"{varying[0]} is another in every reading")
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
            found |= dict.fromkeys([database, *_logs(database)])
    return list(found)


def is_query(path: Path) -> bool:
    """Whether a file of SQL names a database, as those that are tables do."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            first = next((line for line in file if line.strip()), "")
    except OSError:
        return False
    return _NAMED.match(first) is not None


def _logs(database: Path) -> list[Path]:
    """The database's logs that hold anything: a reader of SQLite may leave an empty one."""
    beside = (database.with_name(database.name + end) for end in _LOGS)
    return [one for one in beside if one.is_file() and one.stat().st_size]


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
    # Of a database without a log nothing but its file is looked at, and nothing is left beside it.
    mode = "mode=ro" if _logs(database) else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(database))}?{mode}", uri=True)
    kinds: dict[str, set[type]] = {}
    try:
        connection.set_authorizer(_may)
        cursor = connection.execute(query)
        names = _names(path, [column[0] for column in cursor.description or ()])
        rows = cursor.fetchmany(ROWS)
        yield _batch(path, names, rows, kinds)
        while rows := cursor.fetchmany(ROWS):
            yield _batch(path, names, rows, kinds)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _failed(path, database, error) from error
    finally:
        connection.close()


def _may(action: int, what: str | None, *_: str | None) -> int:
    """Whether a statement may do something: SQLite asks while it prepares it."""
    may = action in _READING or (action, what) in _DECLARING
    return sqlite3.SQLITE_OK if may else sqlite3.SQLITE_DENY


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


def _batch(path: Path, names: list[str], rows: list[Any], kinds: dict[str, set[type]]) -> Any:
    """Some rows as a record batch; `kinds` are those of the values seen so far, by column: SQLite
    may hold another in each row.
    """
    import pyarrow as pa

    columns = []
    for place, name in enumerate(names):
        cells = [row[place] for row in rows]
        seen = kinds.setdefault(name, set())
        seen |= {type(cell) for cell in cells} - {type(None)}
        if len(seen) > 1 and seen != {int, float}:
            said = ", ".join(sorted(kind.__name__ for kind in seen))
            raise TwintrainError(
                f"The query in {path} gives values of several kinds ({said}) in column {name!r}.",
                f"Make them one: SELECT CAST({name} AS …) AS {name}.",
            )
        columns.append(pa.array(cells))
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
                yield _batch(path, names, [], {})
    except duckdb.Error as error:
        raise _failed(path, database, error) from error


def _failed(path: Path, database: Path, error: Exception) -> TwintrainError:
    said = one_line(error)
    if "not authorized" in said:
        return _doing_more(path, said)
    if "readonly database" in said:
        logs = ", ".join(log.name for log in _logs(database))
        return TwintrainError(
            f"{database} has a log of what was written ({logs}) that cannot be read, because its "
            "folder cannot be written.",
            "End the program that writes to it, or let it do a checkpoint.",
        )
    return TwintrainError(
        f"The query in {path}, asked of {database.name}, fails: {said}.", "Correct it."
    )


def _doing_more(path: Path, said: str) -> TwintrainError:
    return TwintrainError(
        f"The query in {path} does more than read rows that are there: {said}.",
        "Leave it a SELECT of the database's own rows, the same in every reading.",
    )
