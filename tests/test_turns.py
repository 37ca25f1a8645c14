"""The turns together run all tests, each long one once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.turns import TURNS, resolve, turn_of_commit

pytest_plugins = ["pytester"]
FILE = """
import pytest
from tests.turns import dealt_out

def test_short(): pass

@pytest.mark.in_turn(1)
def test_long(): pass

@pytest.mark.parametrize("n", dealt_out([10, 11, 12, 13, 14, 15]))
def test_many(n): pass

@pytest.mark.parametrize(("n", "m"), dealt_out([(20, 0), (21, 0)], first=4))
def test_pairs(n, m): pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    pytester.makeconftest(
        """
from tests.turns import add_option as pytest_addoption
from tests.turns import leave_out_others as pytest_collection_modifyitems
from tests.turns import settle as pytest_configure
"""
    )
    pytester.makepyfile(test_file=FILE)

    def passed(*arguments: str) -> set[str]:
        found = pytester.runpytest_inprocess("-v", "-p", "no:cacheprovider", *arguments)
        lines = [line for line in found.outlines if " PASSED" in line]
        return {line.split("::")[1].split(" ")[0] for line in lines}

    return passed


ALWAYS = {"test_short"}
EACH = [
    {"test_many[10]", "test_many[15]", "test_pairs[21-0]"},
    {"test_long", "test_many[11]"},
    {"test_many[12]"},
    {"test_many[13]"},
    {"test_many[14]", "test_pairs[20-0]"},
]


def test_each_turn_has_its_share(run: Callable[..., set[str]]) -> None:
    for turn, share in enumerate(EACH):
        assert run("--turn", str(turn)) == ALWAYS | share


def test_a_file_that_is_named_is_run_whole_and_so_is_all(run: Callable[..., set[str]]) -> None:
    every = ALWAYS.union(*EACH)
    assert run("test_file.py") == run("--turn", "all") == every


def test_the_turn_is_that_of_the_commit(tmp_path: Path) -> None:
    assert turn_of_commit(tmp_path) == 0  # no repository
    mine = turn_of_commit(REPOSITORY)
    assert resolve(None, False, REPOSITORY) == resolve("commit", True, REPOSITORY) == str(mine)
    assert 0 <= mine < TURNS


def test_what_is_no_turn_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match="0 to 4"):
        resolve("5", False, REPOSITORY)
