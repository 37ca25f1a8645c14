from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.local.launch import _ended_like_ctrl_c, _follow, own_root
from pipelines.local.view import View
from twintrain.errors import TwintrainError


def test_a_root_is_taken_once(tmp_path: Path) -> None:
    with (
        own_root(tmp_path),
        pytest.raises(TwintrainError, match="Another run is using"),
        own_root(tmp_path),
    ):
        pass
    with pytest.raises(BlockingIOError, match="fork"), own_root(tmp_path):
        raise BlockingIOError("fork: Resource temporarily unavailable")


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _ended_like_ctrl_c():
            signal.raise_signal(signal.SIGHUP)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


class Seen(View):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []

    def take(self, event: dict[str, object]) -> None:
        self.events.append(event)

    def tick(self) -> None:
        """Nothing to draw."""


def test_a_line_that_is_half_written_is_waited_for(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.touch()
    write = "import sys, time; f = open(sys.argv[1], 'a'); "
    write += """f.write('{"event": "fai'); f.flush(); time.sleep(1); """
    write += """f.write('led", "problem": "x"}\\n')"""
    started = time.monotonic()
    seen = Seen()
    with subprocess.Popen([sys.executable, "-c", write, str(events)]) as child:
        failure = _follow(child, events, seen)
    assert failure == {"event": "failed", "problem": "x"}
    assert len(seen.events) == 1
    assert time.monotonic() - started >= 1
