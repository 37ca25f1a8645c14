"""Starts a local run as a child process and follows it to its end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.config import REPOSITORY, RunConfig
from pipelines.local.metadata_seal import open_seal, seal
from pipelines.local.places import check_name, look_at_places
from pipelines.local.view import View
from twintrain.errors import TwintrainError
from twintrain.processes.endings import LESS_MEMORY, OutOfMemoryCount, how_it_ended
from twintrain.processes.lifeline import lifeline
from twintrain.processes.locked import locked
from twintrain.processes.progress import VARIABLE
from twintrain.processes.scratch import scratch

_POLL = 0.2
_GRACE = 5.0
_FORESEEN = 2  # the engine's exit status for a problem with a remedy


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the engine's exit status, what it said went wrong, and where its log is."""

    status: int
    problem: str
    remedy: str
    log: Path


@contextmanager
def own_root(root: Path) -> Iterator[int]:
    """Make the root directory and keep every other run out of it.

    Yields:
        the lock's file descriptor. It is handed on to the run's own process, so that the root stays
        taken for as long as anything is at work on it, even if this process is killed.

    Raises:
        TwintrainError: it cannot be written or has a name that cannot be used, or another run is
            using it.
    """
    busy = TwintrainError(
        f"Another run is using {root}.",
        "Wait for it to end, or give this one a root of its own with --root.",
    )
    check_name(root)
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(locked(root / ".lock", busy, keep=True))
        except OSError as error:
            raise TwintrainError(
                f"The root {root} cannot be written: {error.strerror or error}.",
                "Choose another with --root.",
            ) from error
        yield lock


def run(config: RunConfig, view: View, lock: int, announce: Callable[[Path], None]) -> Outcome:
    """Run the pipeline and show its progress; the root must be owned.

    Args:
        config: the run.
        view: shows the progress.
        lock: what `own_root` gave.
        announce: told the path of the log before anything is written to it.

    Ctrl-C ends the child and everything it started, and is raised again.

    Raises:
        TwintrainError: a place that the run needs is damaged or cannot be written.
    """
    look_at_places(config)
    logs = config.root / "logs"
    stem = time.strftime("%Y%m%d-%H%M%S")
    request, events, log = (
        logs / f"{stem}.{kind}" for kind in ("request.json", "events.jsonl", "log")
    )
    request.write_text(config.with_pinned_schema().model_dump_json(indent=1), encoding="utf-8")
    events.touch()
    announce(log)
    # What TensorFlow, TFX and Beam leave in the temporary directory goes with the run.
    before = OutOfMemoryCount.now()
    with log.open("wb") as output, scratch("run") as temporary, lifeline() as tie:
        open_seal(config.metadata_db)
        child = subprocess.Popen(
            [sys.executable, "-m", "pipelines.local.engine", str(request), str(tie)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=config.root,
            env=_environment(events, str(temporary)),
            start_new_session=True,
            pass_fds=(lock, tie),
        )
        with _ended_like_ctrl_c():
            try:
                with view:
                    failure = _follow(child, events, view)
            finally:
                _end(child)
                seal(config.metadata_db)
    if not failure and child.returncode == _FORESEEN:
        free = shutil.disk_usage(config.root).free
        problem = (
            f"The run on {config.root} could not go on, nor say why ({free / 1e6:,.0f} MB are free "
            "there)."
        )
        return Outcome(
            _FORESEEN, problem, "Free some space if that is little; the log may say more.", log
        )
    if not failure and child.returncode < 0:
        problem, remedy = how_it_ended("The run's process", child.returncode, before, LESS_MEMORY)
        kept = "Finished steps and epochs are kept; the same command goes on from there."
        return Outcome(_FORESEEN, problem, f"{remedy} {kept}", log)
    return Outcome(child.returncode, failure.get("problem", ""), failure.get("remedy", ""), log)


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Treat a closed terminal and `kill` as Ctrl-C, so that the child does not go on alone."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {
        sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    # One that is ignored stays so: nohup lets a run outlive its terminal.
    for sign in (sign for sign, handler in before.items() if handler != signal.SIG_IGN):
        signal.signal(sign, interrupt)
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def module_places() -> list[str]:
    """Where a run finds the modules of a user: where the user stands, and where PYTHONPATH says."""
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return [str(REPOSITORY), os.getcwd(), *(os.path.abspath(entry) for entry in given)]


def _environment(events: Path, temporary: str) -> dict[str, str]:
    path = os.pathsep.join(module_places())  # the child works in the root
    own = {VARIABLE: str(events), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "TMPDIR": temporary}
    return {**os.environ, **own}


def _follow(child: subprocess.Popen[bytes], events: Path, view: View) -> dict[str, Any]:
    failure: dict[str, Any] = {}
    begun = ""  # of a line whose end was not written yet
    with events.open(encoding="utf-8") as file:
        while True:
            # Asked first: what was written before the end is still read below.
            ended = child.poll() is not None
            for line in file:
                begun += line
                if not begun.endswith("\n"):
                    continue
                event, begun = json.loads(begun), ""
                if event["event"] == "failed":
                    failure = event
                view.take(event)
            if ended:
                return failure
            view.tick()
            time.sleep(_POLL)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child with all its workers, whatever state they are in; a second Ctrl-C does not cut
    this short.
    """
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)
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
