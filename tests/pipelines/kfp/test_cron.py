"""Held against robfig/cron 1.2.0 itself: `robfig_cron_1.2.0.json` is what `robfig_cron.go` printed
for its expressions. Beyond that table, against a table of values made from its rules."""

from __future__ import annotations

import datetime
import json
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kfp.cron import parse_cron
from tests.pipelines.kfp.kfp_server import parses

TABLE = json.loads((Path(__file__).parent / "robfig_cron_1.2.0.json").read_text())
STARTS = ("2026-03-28T12:00:00", "2026-10-24T12:00:00", "2027-12-31T23:59:59")
BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
NAMES = {4: "jan feb mar apr may jun jul aug sep oct nov dec", 5: "sun mon tue wed thu fri sat"}


def moments() -> list[datetime.datetime]:
    zones = [ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")]
    return [
        datetime.datetime.fromisoformat(start).replace(tzinfo=zone)
        for zone in zones
        for start in STARTS
    ]


@pytest.mark.parametrize("row", TABLE, ids=[row["cron"] for row in TABLE])
def test_it_is_read_as_by_robfig(row: dict[str, Any]) -> None:
    assert parses(row["cron"]) == row["takes"]  # what the tests' server refuses
    if not row["takes"]:
        with pytest.raises(ValueError, match=r"^(second|minute|hour|day of|month) .*"):
            parse_cron(row["cron"])
        return
    cron = parse_cron(row["cron"])
    for start, expected in zip(moments(), row["next"], strict=True):
        times = [time.isoformat() for time in islice(cron.after(start), 2)]
        assert [time.replace("+00:00", "Z") for time in times] == expected


@st.composite
def parts(draw: st.DrawFn, field: int) -> tuple[str, set[int], bool]:
    """A part of a field, the values it stands for by robfig's rules, and whether it has a star."""
    low, high = BOUNDS[field]
    kind = draw(st.sampled_from(["star", "one", "range"]))
    step = draw(st.none() | st.integers(1, 70))
    start, end = sorted(draw(st.lists(st.integers(low, high), min_size=2, max_size=2)))
    text = {"star": draw(st.sampled_from("*?")), "one": str(start), "range": f"{start}-{end}"}[kind]
    if kind == "one" and field in NAMES and draw(st.booleans()):
        text = draw(st.sampled_from([str, str.upper, str.title]))(NAMES[field].split()[start - low])
    first, last = {
        "star": (low, high),
        "one": (start, high if step else start),
        "range": (start, end),
    }[kind]
    values = {value for value in range(first, last + 1) if (value - first) % (step or 1) == 0}
    return text + (f"/{step}" if step else ""), values, kind == "star"


@given(st.data())
def test_every_field_stands_for_the_values_of_its_parts(data: st.DataObject) -> None:
    made = [data.draw(st.lists(parts(field), min_size=1, max_size=3)) for field in range(6)]
    cron = parse_cron(" ".join(",".join(text for text, _, _ in field) for field in made))
    for found, field in zip(cron, made, strict=True):
        assert found.values == set().union(*(values for _, values, _ in field))
        assert found.has_star == any(star for _, _, star in field)
    day = data.draw(st.dates(datetime.date(2026, 1, 1), datetime.date(2032, 1, 1)))
    hits = (day.day in cron.day.values, (day.weekday() + 1) % 7 in cron.weekday.values)
    stars = cron.day.has_star or cron.weekday.has_star
    expected = day.month in cron.month.values and (all(hits) if stars else any(hits))
    assert cron.fires_on(day) == expected


@given(st.text("0123456789*?-/,LWR#+sunmonjan ", max_size=8), st.integers(0, 5))
def test_what_is_refused_is_what_the_server_refuses(text: str, field: int) -> None:
    fields = ["0", "0", "3", "*", "*", "*"]
    fields[field] = text.replace(" ", "") or "*"
    expression = " ".join(fields)
    if not set(fields[field]) - {","}:
        return  # robfig takes a field without a value, which never fires
    try:
        parse_cron(expression)
    except ValueError:
        assert not parses(expression)
    else:
        assert parses(expression)
