"""The process a diagnosis happens in: `python -m twintrain.diagnosis.worker REQUEST`, progress on
its standard output.

A process of its own, because the user's code may change global state, hang in C++ or be killed, and
because its chatter does not belong on the terminal.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from twintrain.diagnosis.result import Diagnosis
from twintrain.errors import TwintrainError
from twintrain.processes.replacing import replace_text

# Seconds beyond the deadline after which the process is killed.
GRACE = 30.0
# Characters of its log that are shown where it failed.
LOG_TAIL = 2000


class CodeFailedError(Exception):
    """The user's code could not be run.

    Args:
        problem: what happened, in a sentence.
        remedy: what to do.
        traceback: the user's own, if the code raised.
    """

    def __init__(self, problem: str, remedy: str, traceback: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy, self.traceback = problem, remedy, traceback


def run(module: Path, deadline: float, report: Callable[[str], None]) -> Diagnosis:
    """Diagnose a module in a process of its own.

    Raises:
        CodeFailedError: its code raised, or did not end even when it was stopped.
        TwintrainError: its code is not what can be diagnosed, or the process was killed.
    """
    with tempfile.TemporaryDirectory(prefix="twintrain-") as folder:
        outcome, log = Path(folder) / "outcome.json", Path(folder) / "log"
        with log.open("wb") as file:
            child = _start(module, outcome, deadline, file)
        last = _follow(child, deadline + GRACE, report)
        if outcome.exists():
            return _read(json.loads(outcome.read_text(encoding="utf-8")))
        if child.returncode == -signal.SIGKILL:
            raise CodeFailedError(
                f"The code did not come back within {deadline + GRACE:.0f} s, while {last}.",
                "It may wait for input or for more data; allow it more time with --deadline.",
                "",
            )
        tail = log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        raise TwintrainError(
            f"The diagnosis ended with exit code {child.returncode} while {last}.", tail
        )


def _start(module: Path, outcome: Path, deadline: float, log: IO[bytes]) -> subprocess.Popen[str]:
    name = "twintrain.diagnosis.worker"
    command = [sys.executable, "-m", name, str(module), str(outcome), str(deadline)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **quiet}, text=True
    )


def _follow(child: subprocess.Popen[str], seconds: float, report: Callable[[str], None]) -> str:
    """Pass on what a process says until it ends, or is killed after that time; its last words."""
    timer = threading.Timer(seconds, child.kill)
    timer.start()
    last = "starting TensorFlow"
    try:
        for line in child.stdout or ():
            last = line.strip() or last
            report(last)
        child.wait()
    finally:
        timer.cancel()
        child.kill()
    return last


def _read(found: dict[str, str]) -> Diagnosis:
    if "traceback" in found:
        raise CodeFailedError(found["problem"], found["remedy"], found["traceback"])
    if "problem" in found:
        raise TwintrainError(found["problem"], found["remedy"])
    return Diagnosis.model_validate(found)


def main(module: str, outcome: str, deadline: str) -> None:
    """Diagnose and write the outcome; what is printed is progress."""
    import tensorflow as tf

    from twintrain.diagnosis.diagnose import diagnose_module
    from twintrain.diagnosis.watch.user_module import UserCodeError

    # Of one device a distribution strategy makes one replica, which trains on whole batches like
    # any other code.
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:1], "GPU")
    try:
        text = diagnose_module(Path(module), float(deadline), report=print).model_dump_json()
    except UserCodeError as error:
        text = json.dumps(
            {"problem": f"{error.where} raised.", "remedy": "", "traceback": error.text}
        )
    except TwintrainError as error:
        text = json.dumps({"problem": error.problem, "remedy": error.remedy})
    replace_text(Path(outcome), text)


if __name__ == "__main__":
    main(*sys.argv[1:4])
