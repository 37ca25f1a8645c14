"""Tables in files, read row by row: CSV (plain or gzipped), Parquet, Avro, TFRecords of
tf.Examples, and queries of databases.

    for rows in read_table(path, {"age": "INT", "town": "BYTES"}):
        rows.to_pydict()

What is missing is null: an empty cell, and in CSV also what people write for one (`MISSING`). Every
row gets an id of its own that does not depend on where in the file it stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twintrain.data import table_queries, table_records
from twintrain.data.table_rows import ROWS, one_line
from twintrain.errors import TwintrainError, did_you_mean

# A column's type as a TensorFlow Metadata schema calls it.
Types = Mapping[str, str]
ENDINGS = (
    ".csv",
    ".csv.gz",
    ".parquet",
    ".avro",
    *table_records.ENDINGS,
    table_queries.ENDING,
)
WIDENING = ("INT", "FLOAT", "BYTES")  # each can hold what those before it hold
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "#N/A")
_BLOCK = 8 << 20  # bytes of CSV, in one piece
_HEADER = 1 << 20  # bytes in which the names of all columns end
_REPLACED = "\ufffd"  # what stands for bytes that are no text


def is_table(path: Path) -> bool:
    """Whether a file's name is that of a table, and, of SQL, the file names a database."""
    if path.name.lower().endswith(table_queries.ENDING):
        return table_queries.is_query(path)
    return path.name.lower().endswith(ENDINGS)


def read_table(path: Path, types: Types | None = None) -> Iterator[Any]:
    """The rows of a file, in record batches.

    Args:
        path: of a table.
        types: per column that is wanted, 'INT', 'FLOAT' or 'BYTES'; None for all columns, with the
            types that the file has or, of CSV, that its first rows seem to have.

    Yields:
        `pyarrow.RecordBatch` of the wanted columns, int64, float32 or utf8; null is missing.

    Raises:
        TwintrainError: the file cannot be read, lacks a column, or a value is not of its column's
            type; says which.
    """
    import pyarrow as pa

    try:
        for batch in _reader(path)(path, types):
            yield batch if types is None else _typed(path, batch, types)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = one_line(error)
        if "conversion error" in said and types is not None:
            said = _first_bad_cell(path, types) or said
        raise TwintrainError(f"{path} cannot be read as a table: {said}.", "Mend it.") from error


def _reader(path: Path) -> Callable[[Path, Types | None], Iterator[Any]]:
    """What reads a file of that name."""
    readers: dict[str, Callable[[Path, Types | None], Iterator[Any]]] = {
        ".parquet": _parquet,
        ".avro": _avro,
        table_queries.ENDING: lambda path, types: table_queries.read_query(path),
        **dict.fromkeys(table_records.ENDINGS, table_records.read_records),
    }
    kind = next((end for end in readers if path.name.lower().endswith(end)), "")
    return readers.get(kind, _csv)


def _first_bad_cell(path: Path, types: Types) -> str:
    """Where a CSV file has a value that is not of its column's type; pyarrow does not say."""
    import pyarrow as pa

    kinds = {"INT": int, "FLOAT": float}
    with pa.input_stream(str(path), compression="detect") as stream:
        rows = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline=""))
        names = next(rows)
        wanted = [
            (place, kinds[types[name]])
            for place, name in enumerate(names)
            if types.get(name) in kinds
        ]
        for row in rows:
            for place, kind in wanted:
                cell = row[place].strip() if place < len(row) else ""
                try:
                    if cell not in MISSING:
                        kind(cell)
                except ValueError:
                    what = SPOKEN[types[names[place]]]
                    return f"line {rows.line_num}, column {names[place]!r}: {cell!r} is not {what}"
    return ""


def _csv(path: Path, types: Types | None) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    wanted = None if types is None else {name: arrow_type(kind) for name, kind in types.items()}
    if wanted is not None:
        _see_columns(path, wanted, csv_header(path))
    with pa.input_stream(str(path), compression="detect") as stream:
        yield from arrow_csv.open_csv(
            stream,
            read_options=arrow_csv.ReadOptions(block_size=_BLOCK),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=wanted,
                include_columns=list(wanted or ()),
                null_values=list(MISSING),
                strings_can_be_null=True,
                auto_dict_encode=False,
            ),
        )


def csv_header(path: Path) -> list[str]:
    """The names of a CSV file's columns.

    Raises:
        TwintrainError: the file is empty or no UTF-8 text, or a name is missing or given twice.
    """
    import pyarrow as pa

    with pa.input_stream(str(path), compression="detect") as stream:
        first = stream.read(_HEADER).decode("utf-8-sig", errors="replace")
    names = next(csv.reader(io.StringIO(first, newline="")), [])
    unread = [name for name in names if _REPLACED in name]
    if unread:
        raise TwintrainError(
            f"{path} is not UTF-8 text: its first line names a column {unread[0]!r}.",
            "Save it as UTF-8.",
        )
    doubtful = [name for name in names if not name.strip() or names.count(name) > 1]
    if not names or doubtful:
        what = "it is empty"
        if doubtful:
            what = f"the name {doubtful[0]!r} is there {names.count(doubtful[0])} times"
        raise TwintrainError(
            f"The first line of {path} does not name each column: {what}.",
            "Give every column a name of its own, in the first line.",
        )
    return names


def _see_columns(path: Path, wanted: Iterable[str], there: Sequence[str]) -> None:
    for name in wanted:
        if name not in there:
            raise TwintrainError(f"{path} has no column {name!r}.", did_you_mean(name, there))


def types_in(path: Path) -> dict[str, str]:
    """The type of each column, as all of its values have it; 'BYTES' of one that has none.

    Raises:
        TwintrainError: as `kinds_in`.
    """
    return {name: kind or "BYTES" for name, kind in kinds_in(path).items()}


def kinds_in(path: Path) -> dict[str, str | None]:
    """The type of each column, as all of its values have it; None where all are missing.

    Raises:
        TwintrainError: the file cannot be read, or a column is of no type that can be learned from
            (lists, records).
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if not path.name.lower().endswith((".csv", ".csv.gz")):
        return _kinds_of_batches(path)
    csv_header(path)
    options = arrow_csv.ConvertOptions(null_values=list(MISSING), strings_can_be_null=True)
    parsing = arrow_csv.ParseOptions(newlines_in_values=True)
    try:
        table = arrow_csv.read_csv(str(path), parse_options=parsing, convert_options=options)
    except (pa.ArrowException, OSError) as error:
        said = one_line(error)
        raise TwintrainError(f"{path} cannot be read as a table: {said}.", "Mend it.") from error
    return {field.name: _kind(path, field) for field in table.schema}


def _kinds_of_batches(path: Path) -> dict[str, str | None]:
    """The same of a file that has types of its own, which not each batch of its rows may show."""
    found: dict[str, str | None] = {}
    for batch in read_table(path):
        for field in batch.schema:
            found[field.name] = wider(found.get(field.name), _kind(path, field))
        if path.name.lower().endswith(".parquet"):
            break  # whose batches are all of one schema
    return found


def wider(one: str | None, other: str | None) -> str | None:
    """The narrower of the types that hold the values of both; None for none stands back."""
    kinds = [kind for kind in (one, other) if kind is not None]
    return max(kinds, key=WIDENING.index, default=None)


def _kind(path: Path, field: Any) -> str | None:
    from pyarrow import types

    if types.is_null(field.type):
        return None  # nothing but gaps so far
    if types.is_integer(field.type):
        return "INT"
    if types.is_floating(field.type) or types.is_decimal(field.type):
        return "FLOAT"
    if types.is_nested(field.type):
        raise TwintrainError(
            f"{path}: column {field.name!r} holds {field.type} in each cell.",
            "Leave it out of the file, or make columns of it.",
        )
    return "BYTES"


def _parquet(path: Path, types: Types | None) -> Iterator[Any]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        there = set(file.schema_arrow.names)
        columns = None if types is None else [name for name in types if name in there]
        yield from file.iter_batches(batch_size=ROWS, columns=columns)


def _avro(path: Path, types: Types | None) -> Iterator[Any]:
    import pyarrow as pa

    try:
        import fastavro
    except ImportError:
        raise TwintrainError(
            f"{path} is an Avro file, which needs the package fastavro.", "pip install fastavro"
        ) from None
    with path.open("rb") as file:
        rows: list[Any] = []
        try:
            for row in fastavro.reader(file):
                rows.append(row)
                if len(rows) == ROWS:
                    yield pa.RecordBatch.from_pylist(rows)
                    rows = []
            if rows:
                yield pa.RecordBatch.from_pylist(rows)
        # Of a damaged file fastavro raises whatever its reader meets there.
        except Exception as error:
            said = one_line(error) or type(error).__name__
            raise TwintrainError(f"{path} cannot be read as Avro: {said}.", "Mend it.") from error


def arrow_type(kind: str) -> Any:
    """The type that pyarrow reads the cells of a column of a kind as."""
    import pyarrow as pa

    return {"INT": pa.int64(), "FLOAT": pa.float64(), "BYTES": pa.string()}[kind]


def _typed(path: Path, batch: Any, types: Types) -> Any:
    """The wanted columns of a batch, in their types."""
    import pyarrow as pa
    from pyarrow import compute

    columns = []
    _see_columns(path, types, batch.schema.names)
    for name, kind in types.items():
        column = batch.column(name)
        if kind == "BYTES" and pa.types.is_boolean(column.type):
            column = compute.if_else(column, "true", "false")
        try:
            column = compute.cast(column, arrow_type(kind))
            if kind == "FLOAT":
                # NaN is no value: it would be learned from.
                column = compute.if_else(compute.is_nan(column), None, column)
                column = compute.cast(column, pa.float32())
        except pa.ArrowInvalid as error:
            raise TwintrainError(
                f"{path}: column {name!r} is not {SPOKEN[kind]} throughout: {error}.",
                "Correct the file, or the column's type in the schema.",
            ) from error
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, list(types))


SPOKEN = {"INT": "a whole number", "FLOAT": "a number", "BYTES": "text"}


class RowIds:
    """Ids of rows by what they hold, so that neither order nor growth of a file changes them.

    Args:
        key: a column that names each row; None to go by all columns. Of equal rows, which cannot be
            told apart, the second and further ones are numbered.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._seen: dict[int | str, int] = {}

    def of(self, batch: Any) -> tuple[list[str], npt.NDArray[np.uint64]]:
        """Per row of a record batch, its id, and a number that decides its split and its place in a
        sample; the same for equal rows.

        Raises:
            TwintrainError: two rows have one key.
        """
        import pandas as pd
        import pyarrow as pa

        if self._key is not None:
            names = [str(value) for value in batch.column(self._key).to_pylist()]
            for name in names:
                if name in self._seen:
                    raise TwintrainError(
                        f"Two rows have {self._key} = {name!r}, which is to name one.",
                        "Choose another KEY, or leave it out of the problem's file.",
                    )
                self._seen[name] = 1
            return names, pd.util.hash_array(np.array(names, object)).astype(np.uint64)
        # Columns in one order, whoever names them in which.
        # And whole numbers as such: with a gap among them pandas would make floats of all.
        whole = {pa.int64(): pd.Int64Dtype()}
        frame = batch.to_pandas(types_mapper=whole.get)[sorted(batch.schema.names)]
        hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy(np.uint64)
        ids = []
        for value in hashes.tolist():
            copies = self._seen.get(value, 0)
            self._seen[value] = copies + 1
            ids.append(f"{value:016x}" if not copies else f"{value:016x}-{copies}")
        return ids, hashes
