"""Writes a diagnosis as one self-contained HTML page that can be sent to somebody."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from twintrain.diagnosis.catalogue import by_id
from twintrain.diagnosis.result import Cause, Diagnosis, Reading, Replay
from twintrain.diagnosis.show import SOURCES, seen_in, sentences
from twintrain.parity.divergence import Difference
from twintrain.processes.replacing import replace_text
from twintrain.report import charts
from twintrain.report.render import environment_of
from twintrain.version import __version__

# Rows of the tables of one step; the ones that differ most are shown.
MOST_ROWS = 60


class Told(NamedTuple):
    """A cause as the page tells it."""

    cause: Cause
    sentence: str
    seen: str
    replays: list[Replay]
    readings: list[Reading]
    patch: list[tuple[str, str]]
    example: str
    source: str
    links: list[str]


class StepTable(NamedTuple):
    """The tensors of one step, and how many more there are."""

    number: int
    rows: list[Difference]
    left_out: int


def write_diagnosis(found: Diagnosis, name: str, path: Path) -> None:
    """Write the page; a file of that name stands until the new one is whole.

    Args:
        found: the diagnosis.
        name: of what was diagnosed.
        path: of the page.

    Raises:
        OSError: it cannot be written.
    """
    replace_text(path, render_diagnosis(found, name))


def render_diagnosis(found: Diagnosis, name: str) -> str:
    """The page; every string from the user's code is escaped."""
    return (
        environment_of("diagnosis.html")
        .get_template("diagnosis.html")
        .render(
            d=found,
            name=name,
            version=__version__,
            sentences=sentences(found),
            causes=[_told(cause) for cause in found.causes],
            chart=charts.weight_curve(found.curve, found.tolerance),
            course=_course(found.curve),
            steps=[_step_table(*step) for step in enumerate(found.tables, start=1)],
        )
    )


def _told(cause: Cause) -> Told:
    pitfall = by_id(cause.id)
    return Told(
        cause,
        f"{cause.side} {pitfall.does}.",
        seen_in(cause),
        [row for row in cause.evidence if isinstance(row, Replay)],
        [row for row in cause.evidence if isinstance(row, Reading)],
        _signed(cause.patch),
        pitfall.example.rstrip(),
        SOURCES[pitfall.evidence],
        pitfall.links,
    )


def _signed(patch: str) -> list[tuple[str, str]]:
    """The lines of a difference, each with its '-' or '+'; the first two name the file."""
    lines = patch.splitlines()
    return [("" if number < 2 else line[:1], line) for number, line in enumerate(lines)]


def _course(curve: list[float | None]) -> str:
    """What the chart shows, in words."""
    known = [(step, value) for step, value in enumerate(curve, start=1) if value is not None]
    if not known:
        return ""
    parts = [f"{value:.2g} after step {step}" for step, value in (known[0], known[-1])]
    largest = max(known, key=lambda one: one[1])
    said = f"The largest difference of any weight is {parts[0]}"
    if len(known) > 1:
        said += f" and {parts[1]}"
    if largest not in (known[0], known[-1]):
        said += f"; at most it is {largest[1]:.2g}, after step {largest[0]}"
    return f"{said}."


def _step_table(number: int, rows: list[Difference]) -> StepTable:
    """The tensors of a step in their order; where there are many, those that differ most."""
    ranked = sorted(rows, key=lambda row: -(float("inf") if row.max_abs is None else row.max_abs))
    kept = {id(row) for row in ranked[:MOST_ROWS]}
    shown = [row for row in rows if id(row) in kept]
    return StepTable(number, shown, len(rows) - len(shown))
