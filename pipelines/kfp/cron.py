"""Cron as Kubeflow Pipelines reads it: the grammar and the meaning of robfig/cron 1.2.0, which its
API server and its scheduler use.

It differs from what croniter and crontab take:

- Sunday is 0 and not 7, a range does not end before it begins, and there is no `L`, `W`, `#` or
  `R`.
- `*` and `?` are the same in every field, and may be followed by a step.
- It fires on days that match day-of-month or day-of-week; where one of these two fields has a
  star, on days that match both, and a star with a step (`*/2`) is a star.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import NamedTuple

_MONTH_NAMES = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: at for at, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_YEARS = 5  # robfig looks no further, and KFP's scheduler then goes round for ever


class _Bounds(NamedTuple):
    name: str
    low: int
    high: int
    names: dict[str, int]


_FIELDS = (
    _Bounds("second", 0, 59, {}),
    _Bounds("minute", 0, 59, {}),
    _Bounds("hour", 0, 23, {}),
    _Bounds("day of month", 1, 31, {}),
    _Bounds("month", 1, 12, _MONTHS),
    _Bounds("day of week", 0, 6, _DAYS),
)


class Field(NamedTuple):
    """What one field of an expression stands for."""

    values: frozenset[int]
    has_star: bool


class Cron(NamedTuple):
    """A parsed expression of six fields."""

    second: Field
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    def fires_on(self, day: datetime.date) -> bool:
        """Whether it fires at some time of a day."""
        by_month = day.day in self.day.values
        by_week = day.isoweekday() % 7 in self.weekday.values
        either = not (self.day.has_star or self.weekday.has_star)
        chosen = (by_month or by_week) if either else (by_month and by_week)
        return day.month in self.month.values and chosen

    def after(self, start: datetime.datetime) -> Iterator[datetime.datetime]:
        """The times after `start`, in its zone, for as long as KFP looks ahead.

        A local time that a change of clocks leaves out is left out, and one that comes twice comes
        twice.
        """
        zone, begin = start.tzinfo, start.astimezone(datetime.timezone.utc)
        day = start.date()
        last_year = day.year + _YEARS
        while day.year <= last_year:
            if self.fires_on(day):
                for time in self._within(day, zone):
                    if time.astimezone(datetime.timezone.utc) > begin:
                        yield time
                        last_year = day.year + _YEARS
            day += datetime.timedelta(days=1)

    def _within(
        self, day: datetime.date, zone: datetime.tzinfo | None
    ) -> Iterator[datetime.datetime]:
        """The times of one day, in the order in which they come to pass."""
        midnight = datetime.datetime.combine(day, datetime.time(), zone)
        minute = midnight.astimezone(datetime.timezone.utc)
        while (local := minute.astimezone(zone)).date() <= day:
            if (
                local.date() == day
                and local.hour in self.hour.values
                and local.minute in self.minute.values
            ):
                yield from (local.replace(second=second) for second in sorted(self.second.values))
            minute += datetime.timedelta(minutes=1)


def parse_cron(expression: str) -> Cron:
    """Parse six fields, seconds first.

    Raises:
        ValueError: robfig/cron does not take it; says which field, and why.
    """
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        raise ValueError(f"has {len(texts)} fields, not {len(_FIELDS)}")
    return Cron(*(_field(text, one) for text, one in zip(texts, _FIELDS, strict=True)))


def _field(text: str, bounds: _Bounds) -> Field:
    parts = [part for part in text.split(",") if part]
    if not parts:
        raise ValueError(f"{bounds.name} {text!r} names no value")
    try:
        found = [_part(part, bounds) for part in parts]
    except ValueError as error:
        raise ValueError(f"{bounds.name} {text!r}: {error}") from None
    return Field(frozenset().union(*(one.values for one in found)), any(one[1] for one in found))


def _part(part: str, bounds: _Bounds) -> Field:
    """`*`, `5`, `5-9` or `mon`, each with or without `/2`."""
    span, slash, step_text = part.partition("/")
    low, dash, high = span.partition("-")
    star = low in ("*", "?")
    if star:
        start, end = bounds.low, bounds.high  # what follows a star's hyphen does not count
    else:
        start = _value(low, bounds)
        end = _value(high, bounds) if dash else start
    step = _number(step_text) if slash else 1
    if slash and not dash and not star:
        end = bounds.high
    if start < bounds.low or end > bounds.high:
        raise ValueError(f"KFP takes {bounds.low} to {bounds.high}")
    if start > end:
        raise ValueError("a range must not end before it begins; write it as two, with a comma")
    if step == 0:
        raise ValueError("a step must be 1 or more")
    return Field(frozenset(range(start, end + 1, step)), star)


def _value(text: str, bounds: _Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _number(text) if named is None else named


def _number(text: str) -> int:
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise ValueError(f"{text!r} is no number or name that KFP knows there")
    return int(text)
