"""Starts a local run as a child process and follows it to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipelines.config import REPOSITORY, RunConfig
from pipelines.progress_view import View
from twintrain.errors import TwintrainError
from twintrain.progress import VARIABLE

_POLL = 0.2
_GRACE = 5.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the engine's exit status, what it said went wrong, and where its log is."""

    status: int
    problem: str
    remedy: str
    log: Path


@contextmanager
def own_root(root: Path) -> Iterator[None]:
    """Make the root directory and keep every other run out of it.

    Raises:
        TwintrainError: it cannot be written, or another run is using it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise TwintrainError(
            f"Another run is using {root}.", "Wait for it to end, or give this one a root of its own with --root."
        ) from None
    except OSError as error:
        raise TwintrainError(
            f"The root {root} cannot be written: {error.strerror or error}.", "Choose another with --root."
        ) from error
    try:
        yield
    finally:
        lock.release()


def run(config: RunConfig, view: View, announce: Callable[[Path], None]) -> Outcome:
    """Run the pipeline and show its progress; the root must be owned.

    Args:
        config: the run.
        view: shows the progress.
        announce: told the path of the log before anything is written to it.

    Ctrl-C ends the child and everything it started, and is raised again.
    """
    logs = config.root / "logs"
    logs.mkdir(exist_ok=True)
    stem = time.strftime("%Y%m%d-%H%M%S")
    request, events, log = (logs / f"{stem}.{kind}" for kind in ("request.json", "events.jsonl", "log"))
    request.write_text(config.with_pinned_schema().model_dump_json(indent=1), encoding="utf-8")
    events.touch()
    announce(log)
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "pipelines.engine", str(request)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=config.root,
            env=_environment(events),
            start_new_session=True,
        )
        try:
            with view:
                failure = _follow(child, events, view)
        finally:
            _end(child)
    return Outcome(child.returncode, failure.get("problem", ""), failure.get("remedy", ""), log)


def _environment(events: Path) -> dict[str, str]:
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, VARIABLE: str(events), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _follow(child: subprocess.Popen[bytes], events: Path, view: View) -> dict[str, Any]:
    failure: dict[str, Any] = {}
    with events.open(encoding="utf-8") as file:
        while True:
            ended = child.poll() is not None  # asked first: what was written before the end is still read below
            for line in file:
                event = json.loads(line)
                if event["event"] == "failed":
                    failure = event
                view.take(event)
            if ended:
                return failure
            view.tick()
            time.sleep(_POLL)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child with all its workers, whatever state they are in."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, sign)
        except ProcessLookupError:
            break
        if sign == signal.SIGTERM:
            deadline = time.monotonic() + _GRACE
            while child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
    child.wait()
