from __future__ import annotations

import signal
from pathlib import Path

import pytest

from twintrain.processes import endings
from twintrain.processes.endings import OutOfMemoryCount, how_it_ended


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "memory.events"
    path.write_text("low 0\noom 5\noom_kill 3\noom_group_kill 0\n")
    monkeypatch.setattr(endings, "_COUNTERS", (tmp_path / "nothing", path))
    return path


def test_a_kill_while_memory_ran_out_is_told_as_that(counter: Path) -> None:
    before = OutOfMemoryCount.now()
    counter.write_text("oom 6\noom_kill 4\n")
    told = how_it_ended("The run", -signal.SIGKILL, before, "Take less.")
    assert told == (
        "The run was killed by SIGKILL; memory ran out meanwhile, says the kernel.",
        "Take less.",
    )


def test_a_kill_while_there_was_memory_is_no_lack_of_it(counter: Path) -> None:
    before = OutOfMemoryCount.now()
    assert before.counts == {counter: 3}
    problem, remedy = how_it_ended("The run", -signal.SIGKILL, before, "Take less.")
    assert problem.startswith("The run was killed by SIGKILL; memory had not run out")
    assert "Take less." not in remedy


def test_where_the_kernel_is_silent_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd").write_text("oom_kill\noom_kill many\n")
    monkeypatch.setattr(endings, "_COUNTERS", (tmp_path / "nothing", tmp_path / "odd"))
    before = OutOfMemoryCount.now()
    assert before.has_risen() is None
    problem, remedy = how_it_ended("The run", None, before, "Take less.")
    assert problem == "The run was killed; the kernel does not say whether memory ran out."
    assert remedy == "Take less."


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (-signal.SIGSEGV, "The run was ended by SIGSEGV."),
        (-63, "The run was ended by signal 63."),
        (3, "The run ended with status 3 without a word."),
    ],
)
def test_other_endings_are_named(counter: Path, status: int, said: str) -> None:
    assert how_it_ended("The run", status, OutOfMemoryCount.now(), "")[0] == said
