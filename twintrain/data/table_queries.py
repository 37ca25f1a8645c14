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
# What was written to a database and is not in its file yet, or is there too early: SQLite's names
# of it, and DuckDB's.
_LOGS = ("-wal", "-journal", ".wal")
# Where SQLite's file says how it is read, and the word for: with a log beside it.
_READ_VERSION, _WITH_LOG = 19, 2
_READING = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)
# What would give other rows in another reading: chance, and the clock. SQLite says which functions
# are asked, also by views; what functions of time are given has to be read.
_VARYING = frozenset({"random", "randomblob", "current_date", "current_time", "current_timestamp"})
_CLOCK = re.compile(
    r"[\'\"]now[\'\"]"
    r"|\b(date|time|datetime|julianday|unixepoch)\s*\(\s*\)"
    r"|\bstrftime\s*\(\s*([\'\"])[^\'\"]*\2\s*\)",
    re.IGNORECASE,
)
_OF_TIME = re.compile(
    r"\b(date|time|datetime|julianday|unixepoch|strftime|timediff)\s*\(", re.IGNORECASE
)
_VARYING_IN_DUCKDB = re.compile(
    r"\b(random|uuid|uuidv4|uuidv7|gen_random_uuid|now|today|get_current_\w+"
    r"|current_local\w+|transaction_timestamp)\s*\("
    r"|\bage\s*\([^,()]*\)"
    r"|\b(using\s+sample|tablesample|current_date|current_time|current_timestamp"
    r"|localtime|localtimestamp)\b"
    r"|'(now|today|yesterday|tomorrow)'",
    re.IGNORECASE,
)
# A comment, or a text, in which there may be what looks like the other.
_ASIDE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"", re.DOTALL)
# Tables that are read by a module (FTS5, R-tree, json_each) are declared by it when they are read.
_DECLARING = {(sqlite3.SQLITE_UPDATE, "sqlite_master"), (sqlite3.SQLITE_PRAGMA, "data_version")}


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
    # To read with a log beside the file SQLite makes one, which a reader has no business to leave
    # behind. Where there is none that holds anything, the file is all there is. Otherwise it is
    # read with SQLite's locks: somebody may be writing.
    with database.open("rb") as file:
        with_log = file.read(_READ_VERSION + 1)[_READ_VERSION:] == bytes([_WITH_LOG])
    whole = with_log and not _logs(database)
    mode = "mode=ro&immutable=1" if whole else "mode=ro"
    connection = sqlite3.connect(f"file:{quote(str(database))}?{mode}", uri=True)
    kinds: dict[str, set[type]] = {}
    try:
        _see_no_clock(path, connection, query)
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


def _see_no_clock(path: Path, connection: sqlite3.Connection, query: str) -> None:
    """See that neither a query nor a view that it may ask looks at the clock."""
    views = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall()
    texts, asked = [_without_comments(query)], {name for name, _ in views}
    for text in texts:
        found = _CLOCK.search(text)
        if found is not None and _OF_TIME.search(text):
            raise _doing_more(path, f"{found[0]} is another in every reading")
        for name, sql in views:
            if name in asked and re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE):
                asked.remove(name)
                texts.append(_without_comments(sql))


def _without_comments(query: str) -> str:
    return _ASIDE.sub(lambda found: found[0] if found[0][0] in "'\"" else " ", query)


def _without_texts(query: str) -> str:
    """A query without comments, and without what is said in texts but moments ('now')."""
    plain = _without_comments(query)
    return _ASIDE.sub(
        lambda found: found[0] if _VARYING_IN_DUCKDB.fullmatch(found[0]) else "''", plain
    )


def _may(action: int, what: str | None, function: str | None, *_: str | None) -> int:
    """Whether a statement may do something: SQLite asks while it prepares it."""
    may = action in _READING or (action, what) in _DECLARING
    if action == sqlite3.SQLITE_FUNCTION:
        may = (function or "").lower() not in _VARYING
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
    varying = _VARYING_IN_DUCKDB.search(_without_texts(query))
    if varying is not None:
        raise _doing_more(path, f"{varying[0]} is another in every reading")
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
    if "readonly database" in said or "locked" in said:
        beside = ", ".join(log.name for log in _logs(database)) or "a log"
        return TwintrainError(
            f"{database} is being written, or was left in the middle of it ({beside}): {said}.",
            "Let the program that writes to it come to its end, or open it once with sqlite3.",
        )
    return TwintrainError(
        f"The query in {path}, asked of {database.name}, fails: {said}.", "Correct it."
    )


def _doing_more(path: Path, said: str) -> TwintrainError:
    return TwintrainError(
        f"The query in {path} does more than read rows that are there: {said}.",
        "Leave it a SELECT of the database's own rows, the same in every reading.",
    )
