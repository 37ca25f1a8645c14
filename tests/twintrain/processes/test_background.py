"""A process in the background: what it tells, and how its calls end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from twintrain.errors import TwintrainError
from twintrain.processes.background import Background
from twintrain.processes.progress import VARIABLE, report_progress


def tell(*texts: str) -> int:
    for text in texts:
        report_progress("progress", text=text)
    return len(texts)


def write_half_a_line() -> None:
    with open(os.environ[VARIABLE], "a", encoding="utf-8") as file:
        file.write('{"event": "progress", "text": "ha')


def complain() -> None:
    print("something native", file=sys.stderr, flush=True)
    raise TwintrainError("That does not fit.", "Mend it.")


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Background]:
    with Background(tmp_path / "logs" / "log.txt", "Finished epochs are kept.") as process:
        yield process


def wait(process: Background) -> None:
    while not process.has_ended(1):
        pass


def test_news_come_once_each_and_in_order(process: Background) -> None:
    assert (process.news(), process.last_text()) == ([], "")
    process.begin(tell, "one", "two")
    wait(process)
    assert process.outcome() == 2
    assert [event["text"] for event in process.news()] == ["one", "two"]
    assert process.news() == []
    process.begin(tell, "three")
    wait(process)
    process.begin(write_half_a_line)
    wait(process)
    assert [event["text"] for event in process.news()] == ["three"]
    assert process.last_text() == "three"


def test_what_is_raised_comes_out_and_the_process_goes_on(
    process: Background, tmp_path: Path
) -> None:
    process.begin(complain)
    wait(process)
    with pytest.raises(TwintrainError, match="does not fit"):
        process.outcome()
    assert "something native" in (tmp_path / "logs" / "log.txt").read_text()
    process.begin(os.getpid)
    wait(process)
    assert process.outcome() != os.getpid()


def test_a_process_that_is_killed_is_said_to_be(process: Background) -> None:
    process.begin(be_killed)
    wait(process)
    with pytest.raises(TwintrainError, match="SIGKILL") as told:
        process.outcome()
    assert "Finished epochs are kept." in str(told.value)


def test_a_call_under_way_ends_with_the_block_that_fails(tmp_path: Path) -> None:
    started, children = time.monotonic(), []

    def work() -> None:
        with Background(tmp_path / "log.txt", "Nothing is kept.") as process:
            process.begin(os.getpid)
            wait(process)
            children.append(psutil.Process(process.outcome()))
            process.begin(time.sleep, 600)
            assert not process.has_ended(0.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    (child,) = children
    assert not child.is_running()
    assert time.monotonic() - started < 60
