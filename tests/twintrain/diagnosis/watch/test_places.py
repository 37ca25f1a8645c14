"""Which line of the user's code is under way."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import twintrain
from twintrain.diagnosis.watch.places import (
    Source,
    Spot,
    Station,
    is_users,
    outermost,
    place_at,
    place_of,
    user_spot,
)

HERE = Path(__file__)


def called() -> Spot:
    spot = user_spot()
    assert spot is not None
    return spot


def test_the_innermost_line_is_found_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE.parent)
    place = place_of(called())  # this one: of `called`, which is a user's too
    assert (place.file, place.code) == ("test_places.py", "spot = user_spot()")


def run(code: str, file: str, **known: Any) -> Any:
    """Run code as if it stood in a file."""
    exec(compile(code, file, "exec"), known)
    return known


def test_what_lies_between_is_skipped_and_makes_it_indirect() -> None:
    inside = str(Path(sysconfig.get_path("purelib")) / "some" / "library.py")
    library = run("def through(f):\n    return f()", inside)["through"]
    spot = run("\n\nspot = through(f)", "mine.py", through=library, f=user_spot)["spot"]
    assert (spot.file, spot.line, spot.direct) == ("mine.py", 3, False)
    spot = run("spot = f()", "mine.py", f=user_spot)["spot"]
    assert (spot.line, spot.direct) == (1, True)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="columns are not told")
def test_a_call_is_known_to_its_end() -> None:
    code = "spot = [1, f(\n    ), 3]"
    spot = run(code, "mine.py", f=user_spot)["spot"][1]
    assert (spot.line, spot.end) == (1, (2, 5))
    chain = run("spot = (x\n  .real\n  .f(1)\n)", "mine.py", x=Chained())["spot"]
    assert (chain.line, chain.end) == (3, (3, 7))


class Chained:
    """What is called in the middle of a chain."""

    real = property(lambda self: self)
    f = run("def f(self, x):\n    return spot()", twintrain.__file__, spot=user_spot)["f"]


@pytest.mark.parametrize(
    ("file", "users"),
    [
        ("/home/me/twintrain/mine.py", True),
        ("/home/me/project/twintrain/diagnosis/watch/mine.py", True),
        ("mine.py", True),
        ("<ipython-input-3-abc>", True),
        ("/tmp/ipykernel_7/123.py", True),
        (twintrain.__file__, False),
        (str(Path(twintrain.__file__).parent / "diagnosis" / "new.py"), False),
        (sysconfig.get_path("stdlib") + "/contextlib.py", False),
        ("/home/me/.venv/lib/python3.11/site-packages/keras/src/x.py", False),
        ("/usr/lib/python3/dist-packages/x.py", False),
        ("<frozen runpy>", False),
        ("<string>", False),
        ("/tmp/__autograph_generated_file3x.py", False),
    ],
)
def test_whose_a_file_is(file: str, users: bool) -> None:
    assert is_users(file) is users


def test_nothing_is_looked_at_beyond_what_runs_the_users_code() -> None:
    runner = run("def runner(f):\n    return f()", twintrain.__file__)["runner"]
    assert runner(user_spot) is not None
    assert outermost(runner)(user_spot) is None


def test_a_place_is_told_from_the_working_directory_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder" / "mine.py"
    path.parent.mkdir()
    path.write_text("a = 1\n  \n    b = 2  # two \n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert place_at(str(path), 3).model_dump() == {
        "file": "folder/mine.py",
        "line": 3,
        "code": "b = 2  # two",
    }
    monkeypatch.chdir(path.parent.parent.parent)
    assert place_at("/none/mine.py", 7).model_dump() == {
        "file": "/none/mine.py",
        "line": 7,
        "code": "",
    }


def test_a_source_knows_its_last_calls() -> None:
    one, other = called(), called()
    source = Source(None, (Station("batch", one), Station("shuffle", other)))
    assert (source.at("batch"), source.at("shuffle"), source.at("map")) == (one, other, None)
