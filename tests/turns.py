"""Long tests that come in turn: each commit runs a fifth of them, five in a row run all.

    @pytest.mark.in_turn(0)                              # 0 to 4
    @pytest.mark.parametrize("name", dealt_out(NAMES))   # many of a kind

What such a test sees from end to end is held, piece by piece, by short tests that always run.
`make test-all` runs every one; so does naming a single file or test.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

TURNS = 5


def dealt_out(values: Sequence[Any], first: int = 0) -> list[ParameterSet]:
    """The parameters of a test, each in its turn; a tuple for several names.

    Args:
        values: of one test.
        first: the turn of the first, so that not all short lists begin with the same.
    """
    together = [value if isinstance(value, tuple) else (value,) for value in values]
    return [
        pytest.param(*each, marks=pytest.mark.in_turn(number % TURNS))
        for number, each in enumerate(together, first)
    ]


def turn_of_commit(repository: Path) -> int:
    """Whose turn it is: by the number of commits, or, where the history is cut off, by the commit's
    hash; the first's where there is none.
    """
    if _git(repository, "rev-parse", "--is-shallow-repository") == "false":
        return int(_git(repository, "rev-list", "--count", "HEAD") or 0) % TURNS
    return int(_git(repository, "rev-parse", "HEAD")[:8] or "0", 16) % TURNS


def _git(repository: Path, *arguments: str) -> str:
    """What git answers; nothing where there is no git, or it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=repository, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def resolve(asked: str | None, named: bool, repository: Path) -> str:
    """The turn to run.

    Args:
        asked: by --turn.
        named: whether single files or tests were.
        repository: whose commits count.

    Returns:
        the number of one, or 'all'.

    Raises:
        pytest.UsageError: `asked` is no turn.
    """
    if asked is None:
        asked = "all" if named else "commit"
    if asked == "commit":
        return str(turn_of_commit(repository))
    if asked != "all" and asked not in map(str, range(TURNS)):
        raise pytest.UsageError(f"--turn is 0 to {TURNS - 1}, 'commit' or 'all', not {asked!r}")
    return asked


def add_option(parser: pytest.Parser) -> None:
    """--turn."""
    parser.addoption(
        "--turn", help=f"of long tests: 0 to {TURNS - 1}, all, or commit (by their number)"
    )


def settle(config: pytest.Config) -> None:
    """Write the turn into the option, so that the processes of pytest-xdist have the same."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    config.option.turn = resolve(config.option.turn, named, config.rootpath)


def told(config: pytest.Config) -> str:
    """The turn, for the head of a test run."""
    turn = config.option.turn
    which = "all" if turn == "all" else f"a fifth of them, turn {turn} of 0 to {TURNS - 1}"
    return f"long tests: {which} (`make test-all` runs all)"


def leave_out_others(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the long tests of other turns out of what was collected."""
    waiting = [item for item in items if not _comes(item, config.option.turn)]
    config.hook.pytest_deselected(items=waiting)
    items[:] = [item for item in items if _comes(item, config.option.turn)]


def _comes(item: pytest.Item, turn: str) -> bool:
    mark = item.get_closest_marker("in_turn")
    return turn == "all" or mark is None or str(mark.args[0]) == turn
