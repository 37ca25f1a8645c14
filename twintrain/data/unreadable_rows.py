"""Rows of a CSV file that cannot be read, left out and listed where the recipe allows it
(`data.unreadable_rows`).

    with readable_part(path, types, share=0.01, left_out=[]) as whole:
        read_table(whole, types)

A row cannot be read when it has another number of cells than the header, when a cell is not of its
column's type, or when it is no text in UTF-8. Other forms of tables have types of their own, and
are read whole or not at all.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twintrain.data.tables import MISSING, REPLACED, SPOKEN, Types, csv_header
from twintrain.errors import TwintrainError, shortened
from twintrain.processes.scratch import scratch

_WHOLE = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FORMS = {"INT": _WHOLE, "FLOAT": _NUMBER}
_SHOWN = 3  # rows that a message names


@dataclass(frozen=True)
class UnreadableRow:
    """One row that cannot be read.

    Attributes:
        file: its name.
        line: the one it begins in, from 1.
        lines: how many it takes: an open quotation mark swallows those after it.
        why: in words.
    """

    file: str
    line: int
    lines: int
    why: str

    def __str__(self) -> str:
        more = f" to {self.line + self.lines - 1}" if self.lines > 1 else ""
        return f"{self.file}, line {self.line}{more}: {self.why}"


def shown(rows: Sequence[UnreadableRow]) -> str:
    """The first of some rows, for a sentence."""
    first = "; ".join(map(str, rows[:_SHOWN]))
    return first + (f"; and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else "")


@contextmanager
def readable_part(
    path: Path, types: Types, share: float, left_out: list[UnreadableRow]
) -> Iterator[Path]:
    """A table without the rows that cannot be read: the file itself where all can, or none may be
    left out, or it is no CSV.

    Args:
        path: of a table.
        types: per column that is wanted, 'INT', 'FLOAT' or 'BYTES'.
        share: of the file's lines that may be left out.
        left_out: takes the rows that are.

    Raises:
        TwintrainError: more cannot be read than may be left out.
    """
    if not share or not path.name.lower().endswith((".csv", ".csv.gz")):
        yield path
        return
    with scratch("rows") as folder:
        part = folder / "readable.csv"
        found, lines = _copied(path, types, part)
        lost = sum(row.lines for row in found)
        if lost > share * lines:
            raise TwintrainError(
                f"{lost:,} of {lines:,} lines of {path} cannot be read, and data.unreadable_rows "
                f"allows {share:.2%}: {shown(found)}.",
                "Mend them, or allow more.",
            )
        left_out += found
        yield part if found else path


def _copied(path: Path, types: Types, part: Path) -> tuple[list[UnreadableRow], int]:
    """Write the readable rows of a file; the others, and how many lines there are below the
    header.
    """
    import pyarrow as pa

    names = csv_header(path)
    found: list[UnreadableRow] = []
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
            raw: list[str] = []  # the lines of the row at hand
            rows = csv.reader(_kept(text, raw))
            header, begin = next(rows), rows.line_num
            top = begin
            with part.open("w", newline="", encoding="utf-8") as file:
                out = csv.writer(file)
                out.writerow(header)
                raw.clear()
                for row in rows:
                    first, begin = begin + 1, rows.line_num
                    why = (_open_quote(raw) or _fault(row, names, types)) if row else ""
                    raw.clear()
                    if why:
                        lines = rows.line_num - first + 1
                        found.append(UnreadableRow(path.name, first, lines, why))
                    elif row:
                        out.writerow(row)
            return found, rows.line_num - top
    except (csv.Error, OSError, pa.ArrowException) as error:
        raise TwintrainError(f"{path} cannot be read as a table: {error}.", "Mend it.") from error


def _kept(lines: Iterable[str], into: list[str]) -> Iterator[str]:
    for line in lines:
        into.append(line)
        yield line


def _open_quote(raw: Sequence[str]) -> str:
    """Said of a row that a quotation mark without its partner makes of several lines."""
    if len(raw) > 1 and sum(line.count('"') for line in raw) % 2:
        return "a quotation mark is not closed"
    return ""


def _fault(row: Sequence[str], names: Sequence[str], types: Types) -> str:
    """Why a row cannot be read; empty where it can."""
    if len(row) != len(names):
        return f"{len(row)} cells, and {len(names)} columns"
    for name, cell in zip(names, row, strict=True):
        kind = types.get(name)
        if kind is not None and REPLACED in cell:
            return f"column {name!r} is no text in UTF-8"
        form = _FORMS.get(kind or "")
        value = cell.strip()
        if form is not None and value not in MISSING and not form.fullmatch(value):
            return f"column {name!r}: {shortened(cell, 40)!r} is not {SPOKEN[kind or '']}"
    return ""
