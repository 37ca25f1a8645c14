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
from typing import Any

from twintrain.data.tables import MISSING, SPOKEN, Types, arrow_type, csv_header
from twintrain.errors import TwintrainError, shortened
from twintrain.processes.scratch import scratch

# What is plainly of a type; of all else pyarrow is asked.
_PLAIN = {"INT": re.compile(r"-?[0-9]{1,18}"), "FLOAT": re.compile(r"-?[0-9]+(\.[0-9]+)?")}
_BLANK = " \t"  # what pyarrow leaves out around a number
_NO_TEXT = re.compile("[\udc80-\udcff]")  # bytes that are no UTF-8, as they are decoded here
_BYTES_HANDLED = "surrogateescape"
# Quotation marks that open or close a cell, in the lines of a row.
_OPENS = re.compile(r'(?:^|,)"')
_SHOWN = 3  # rows that a message names
_MOST = 100_000  # rows that are listed
_ROUNDING = 1e-9


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


def as_told(rows: Sequence[UnreadableRow]) -> dict[str, Any] | None:
    """What a report has of rows that were left out: how many, and the first of them; None for no
    row.
    """
    return {"rows": len(rows), "first": shown(rows)} if rows else None


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
        found, lost, lines = _copied(path, types, part)
        if lost > (share + _ROUNDING) * lines:
            raise TwintrainError(
                f"{lost:,} of {lines:,} lines of {path} cannot be read, and data.unreadable_rows "
                f"allows {share:.2%}: {shown(found)}.",
                "Mend them, or allow more.",
            )
        if len(found) >= _MOST:
            raise TwintrainError(
                f"{_MOST:,} rows of {path} and more cannot be read, too many to list: "
                f"{shown(found[:_SHOWN])}.",
                "Mend them; so many have one reason.",
            )
        left_out += found
        yield part if found else path


def _copied(path: Path, types: Types, part: Path) -> tuple[list[UnreadableRow], int, int]:
    """Write the readable rows of a file.

    Returns:
        the others (the first of them where there are very many), their lines, and how many lines
        there are below the header.
    """
    import pyarrow as pa

    found: list[UnreadableRow] = []
    lost = 0
    try:
        names = csv_header(path)
        with pa.input_stream(str(path), compression="detect") as stream:
            text = io.TextIOWrapper(stream, "utf-8-sig", errors=_BYTES_HANDLED, newline="")
            raw: list[str] = []  # the lines of the row at hand
            with _cells_of_any_length():
                rows = csv.reader(_kept(text, raw))
                header, top = next(rows), rows.line_num
                begin = top
                with part.open("w", newline="", encoding="utf-8", errors=_BYTES_HANDLED) as file:
                    out = csv.writer(file)
                    out.writerow(header)
                    raw.clear()
                    for row in rows:
                        first, begin = begin + 1, rows.line_num
                        why = (_open_quote(raw) or _fault(row, names, types)) if row else ""
                        raw.clear()
                        if row and not why:
                            out.writerow(row)
                        if why:
                            lost += begin - first + 1
                        if why and len(found) < _MOST:
                            found.append(UnreadableRow(path.name, first, begin - first + 1, why))
                return found, lost, begin - top
    except (csv.Error, OSError, pa.ArrowException) as error:
        raise TwintrainError(f"{path} cannot be read as a table: {error}.", "Mend it.") from error


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Python's reader refuses cells of 128 KiB; an open quotation mark makes one of all that
    follows.
    """
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _kept(lines: Iterable[str], into: list[str]) -> Iterator[str]:
    for line in lines:
        into.append(line)
        yield line


def _open_quote(raw: Sequence[str]) -> str:
    """Said of a row that a quotation mark without its partner makes of all lines to the end."""
    if len(raw) > 1 and not _closes("".join(raw)):
        return "a quotation mark is not closed"
    return ""


def _closes(text: str) -> bool:
    """Whether every cell of a row that opens with a quotation mark ends with one."""
    place = 0
    while True:
        opened = _OPENS.search(text, place)
        if opened is None:
            return True
        place = opened.end()
        while True:
            place = text.find('"', place)
            if place < 0:
                return False
            if text[place : place + 2] != '""':
                break
            place += 2
        place += 1


def _fault(row: Sequence[str], names: Sequence[str], types: Types) -> str:
    """Why a row cannot be read; empty where it can."""
    if len(row) != len(names):
        return f"{len(row)} cells, and {len(names)} columns"
    for name, cell in zip(names, row, strict=True):
        kind = types.get(name)
        if kind is None or cell in MISSING:
            continue
        if _NO_TEXT.search(cell):
            return f"column {name!r} is no text in UTF-8"
        if kind in _PLAIN and not _is_of(cell, kind):
            return f"column {name!r}: {shortened(cell, 40)!r} is not {SPOKEN[kind]}"
    return ""


def _is_of(cell: str, kind: str) -> bool:
    """Whether a cell is a number of a kind to pyarrow's own reader."""
    value = cell.strip(_BLANK)
    if _PLAIN[kind].fullmatch(value):
        return True
    import pyarrow as pa

    try:
        found: Any = pa.scalar(value).cast(arrow_type(kind))
    except pa.ArrowException:
        return False
    return bool(found.is_valid)
