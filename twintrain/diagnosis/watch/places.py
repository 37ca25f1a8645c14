"""Where in the user's own code something is called: noted in passing, read when it is asked for.

    spot = user_spot()          # in an observer, while the call is under way
    place_of(spot)              # afterwards: file, line, and what stands there

A note is a code object and the instruction in it; which line that is costs more, and is asked of a
few.
"""

from __future__ import annotations

import functools
import linecache
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeVar

from twintrain.diagnosis.result import Place

F = TypeVar("F", bound=Callable[..., Any])

_OURS = str(Path(__file__).resolve().parents[2]) + os.sep
_LIBRARY = tuple(
    {os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib", "purelib")}
)
_INSTALLED = {"site-packages", "dist-packages"}
# TensorFlow's rewriting of a function, in a file of its own.
_REWRITTEN = "__autograph_generated_file"
_CELL = "<ipython-input"
# By identity: the hash of a code object is computed anew each time.
_outermost: dict[int, CodeType] = {}


class Spot(NamedTuple):
    """A call in the user's code.

    Attributes:
        code: the function it stands in, compiled.
        instruction: of the code, by its offset.
        direct: it calls what was watched itself, and not something that in turn does.
    """

    code: CodeType
    instruction: int
    direct: bool

    @property
    def file(self) -> str:
        """As Python knows it."""
        return self.code.co_filename

    @property
    def line(self) -> int:
        """From 1."""
        for start, end, line in self.code.co_lines():
            if start <= self.instruction < end and line is not None:
                return line
        return self.code.co_firstlineno

    @property
    def end(self) -> tuple[int, int] | None:
        """Line (from 1) and column (in bytes) behind the expression; None where Python was not
        told, and before 3.11.
        """
        positions: Callable[[], Iterator[tuple[int | None, ...]]] | None
        positions = getattr(self.code, "co_positions", None)
        if positions is None:
            return None
        _, line, _, column = next(islice(positions(), self.instruction // 2, None), (None,) * 4)
        return None if line is None or column is None else (line, column)


class Station(NamedTuple):
    """A call that made a data set of another: 'shuffle' or 'batch'."""

    kind: str
    at: Spot


class Source(NamedTuple):
    """Where a batch comes from.

    Attributes:
        pulled: where it is asked for.
        stations: calls that its data set was made by, the last one first.
        kinds: classes of the data sets it goes through, likewise.
    """

    pulled: Spot | None = None
    stations: tuple[Station, ...] = ()
    kinds: tuple[str, ...] = ()

    def at(self, kind: str) -> Spot | None:
        """The last call of a kind."""
        return next((station.at for station in self.stations if station.kind == kind), None)


def outermost(function: F) -> F:
    """Mark a function as the one that calls the user's: what called it is not looked at."""
    _outermost[id(function.__code__)] = function.__code__
    return function


def user_spot() -> Spot | None:
    """The innermost call in the user's code that is under way; None where there is none."""
    frame: FrameType | None = sys._getframe(1)
    direct = True
    while frame is not None:
        code = frame.f_code
        if id(code) in _outermost:
            return None
        if is_users(code.co_filename):
            return Spot(code, frame.f_lasti, direct)
        direct = direct and code.co_filename.startswith(_OURS)
        frame = frame.f_back
    return None


def user_variables() -> Iterator[tuple[str, Any]]:
    """The variables of the user's functions that are under way, the innermost first, each with the
    name of its function.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and id(frame.f_code) not in _outermost:
        if is_users(frame.f_code.co_filename):
            for name, value in list(frame.f_locals.items()):
                yield f"{frame.f_code.co_name}: {name}", value
        frame = frame.f_back


@functools.cache
def is_users(file: str) -> bool:
    """Whether a file (as in `co_filename`) is neither ours nor that of a library or of Python."""
    if file.startswith("<"):
        return file.startswith(_CELL)
    path = os.path.abspath(file)
    if path.startswith((_OURS, *_LIBRARY)) or not _INSTALLED.isdisjoint(Path(path).parts):
        return False
    return not os.path.basename(path).startswith(_REWRITTEN)


def place_of(spot: Spot) -> Place:
    """What a note refers to."""
    return place_at(spot.file, spot.line)


def place_at(file: str, line: int) -> Place:
    """The one function that makes a `Place`.

    Args:
        file: as Python knows it; below the working directory it is told from there on.
        line: from 1.
    """
    code = linecache.getline(file, line).strip()
    here = os.path.join(os.getcwd(), "")
    path = file if file.startswith("<") else os.path.abspath(file)
    return Place(file=path.removeprefix(here), line=line, code=code)
