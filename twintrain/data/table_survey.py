"""A look at the columns of a table: of what type each is, and what it seems to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twintrain.data.table_records import is_records
from twintrain.data.tables import kinds_in, read_table, wider
from twintrain.errors import TwintrainError

MOST_ROWS = 2_000_000  # looked at
_LISTED = 100_000  # different values that are kept
_WORDS = 3.0  # words per cell from which a text is no category


@dataclass(frozen=True)
class SurveyedColumn:
    """One column.

    Attributes:
        name: in the file.
        kind: 'INT', 'FLOAT' or 'BYTES'.
        missing: share of rows without a value.
        values: the different ones, sorted; empty where there are more than can be listed.
        distinct: how many different ones there are.
        words: per cell, on average; 0 for numbers.
        seems: 'identifier' (each row another), 'date', 'constant', 'empty'; '' for none of these.
    """

    name: str
    kind: str
    missing: float
    values: tuple[Any, ...]
    distinct: int
    words: float
    seems: str

    @property
    def is_text(self) -> bool:
        """Whether it is to be taken word by word."""
        return self.kind == "BYTES" and self.words >= _WORDS and not self.seems


@dataclass(frozen=True)
class Survey:
    """All columns, and the rows looked at.

    Attributes:
        columns: by name, in the file's order.
        rows: looked at; all, unless there are more than `MOST_ROWS`.
        equal: pairs of columns that tell the same of every row.
    """

    columns: dict[str, SurveyedColumn]
    rows: int
    equal: tuple[tuple[str, str], ...]

    def twins_of(self, name: str) -> list[str]:
        """Columns that tell the same as this one."""
        pairs = [pair for pair in self.equal if name in pair]
        return [one if other == name else other for one, other in pairs]


def survey(files: Sequence[Path]) -> Survey:
    """Look at the columns of some files, which have the same.

    Raises:
        TwintrainError: a file cannot be read, the files have different columns, or there is no row.
    """
    import pandas as pd

    kinds = kinds_in(files[0])
    for file in files[1:]:
        kinds = _joined(files[0], kinds, file, kinds_in(file))
    types = {name: kind or "BYTES" for name, kind in kinds.items()}
    parts, rows = [], 0
    for file in files:
        for batch in read_table(file, types):
            parts.append(batch.to_pandas())
            rows += len(batch)
            if rows >= MOST_ROWS:
                break
    if not rows:
        raise TwintrainError(f"{files[0]} has no rows.", "Name a table that has.")
    frame = pd.concat(parts, ignore_index=True)
    columns = {name: _look(name, kind, frame[name]) for name, kind in types.items()}
    return Survey(columns, rows, _equal(frame, columns))


def _joined(
    first: Path, types: dict[str, str | None], file: Path, own: dict[str, str | None]
) -> dict[str, str | None]:
    """The types of columns over two files; examples do not have to have a feature."""
    if set(own) != set(types) and not (is_records(first) and is_records(file)):
        other = sorted(set(own) ^ set(types))
        raise TwintrainError(
            f"{first.name} and {file.name} have different columns: {', '.join(other[:5])}.",
            "Tables of one comparison have the same.",
        )
    return {name: wider(types.get(name), own.get(name)) for name in {**types, **own}}


def _look(name: str, kind: str, values: Any) -> SurveyedColumn:
    there = values.dropna()
    distinct = int(there.nunique())
    words = 0.0
    if kind == "BYTES" and len(there):
        words = float(there.str.split().str.len().mean())
    listed = sorted(there.unique().tolist()) if distinct <= _LISTED else []
    return SurveyedColumn(
        name=name,
        kind=kind,
        missing=1 - len(there) / len(values),
        values=tuple(int(value) if kind == "INT" else value for value in listed),
        distinct=distinct,
        words=words,
        seems=_seems(kind, there, distinct, len(values), words),
    )


def _seems(kind: str, there: Any, distinct: int, rows: int, words: float) -> str:
    import pandas as pd

    if not len(there):
        return "empty"
    if distinct == 1:
        return "constant"
    if kind == "BYTES":
        some = there.iloc[:: max(1, len(there) // 200)]
        if some.str.match(r"\d{4}-\d{2}-\d{2}").all():
            return "" if pd.to_datetime(some, errors="coerce").isna().any() else "date"
    if kind != "FLOAT" and distinct == rows > 20 and words < 2:
        return "identifier"
    return ""


def _equal(frame: Any, columns: dict[str, SurveyedColumn]) -> tuple[tuple[str, str], ...]:
    """Pairs of columns of which each value stands beside one value of the other, always."""
    import pandas as pd

    few = [name for name, one in columns.items() if 1 < one.distinct <= 1000 and not one.missing]
    codes = {name: pd.factorize(frame[name])[0] for name in few}
    found = []
    for place, one in enumerate(few):
        for other in few[place + 1 :]:
            if (
                columns[one].distinct == columns[other].distinct
                and (codes[one] == codes[other]).all()
            ):
                found.append((one, other))
    return tuple(found)
