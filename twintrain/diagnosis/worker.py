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
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO

from twintrain.diagnosis.budget import READING
from twintrain.diagnosis.result import Diagnosis
from twintrain.errors import TwintrainError
from twintrain.processes.replacing import replace_text

# Seconds in which TensorFlow and the module must be there; importing them is not the diagnosis.
IMPORTING = 600.0
# Seconds beyond the deadline after which the process is killed.
GRACE = 60.0
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


class DiagnosisFailedError(Exception):
    """Twintrain itself failed, or its process was ended from outside.

    Args:
        problem: what happened, in a sentence.
        log: the end of what the process said.
    """

    def __init__(self, problem: str, log: str) -> None:
        super().__init__(problem)
        self.problem, self.log = problem, log


def run(module: Path, deadline: float, report: Callable[[str], None]) -> Diagnosis:
    """Diagnose a module in a process of its own.

    Raises:
        CodeFailedError: its code raised, or did not end even when it was stopped.
        TwintrainError: its code is not what can be diagnosed.
        DiagnosisFailedError: the diagnosis failed, or its process was killed.
    """
    with tempfile.TemporaryDirectory(prefix="twintrain-") as folder:
        outcome, log = Path(folder) / "outcome.json", Path(folder) / "log"
        with log.open("wb") as file:
            child = _start(module, outcome, deadline, file)
        follower = _Follower(child, deadline + GRACE, report)
        follower.follow()
        if outcome.exists():
            return _read(json.loads(outcome.read_text(encoding="utf-8")))
        if follower.stopped:
            raise CodeFailedError(
                f"The code did not come back. {follower.times()}",
                "It may wait for input or for more data; allow it more time with --deadline.",
                "",
            )
        tail = log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        ended = signal.strsignal(-child.returncode) if child.returncode < 0 else child.returncode
        raise DiagnosisFailedError(f"The diagnosis ended early ({ended}). {follower.times()}", tail)


def _start(module: Path, outcome: Path, deadline: float, log: IO[bytes]) -> subprocess.Popen[str]:
    name = "twintrain.diagnosis.worker"
    command = [sys.executable, "-m", name, str(module), str(outcome), str(deadline)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **quiet}, text=True
    )


class _Follower:
    """Passes on what a process says, and kills it where it does not come back.

    Args:
        child: the process.
        seconds: that it may take from when the module has been imported.
        report: hears each line.

    Attributes:
        stopped: it was killed for the time it took.
    """

    def __init__(
        self, child: subprocess.Popen[str], seconds: float, report: Callable[[str], None]
    ) -> None:
        self.stopped = False
        self._child, self._seconds, self._report = child, seconds, report
        self._phases: list[tuple[str, float]] = [("starting TensorFlow", time.monotonic())]
        self._timer = self._alarm(IMPORTING)

    def follow(self) -> None:
        """Until the process ends."""
        try:
            for line in self._child.stdout or ():
                if line.strip():
                    self._phases.append((line.strip(), time.monotonic()))
                    self._report(line.strip())
                if line.startswith(READING):
                    self._timer.cancel()
                    self._timer = self._alarm(self._seconds)
            self._child.wait()
        finally:
            self._timer.cancel()
            self._child.kill()

    def times(self) -> str:
        """How long each phase took."""
        ends = [began for _, began in self._phases[1:]] + [time.monotonic()]
        took = [
            f"{name}: {end - began:.0f} s"
            for (name, began), end in zip(self._phases, ends, strict=True)
        ]
        return "; ".join(took) + "."

    def _alarm(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._kill)
        timer.daemon = True
        timer.start()
        return timer

    def _kill(self) -> None:
        self.stopped = True
        self._child.kill()


def _read(found: dict[str, str]) -> Diagnosis:
    if "traceback" in found:
        raise CodeFailedError(found["problem"], found["remedy"], found["traceback"])
    if "failure" in found:
        raise DiagnosisFailedError(found["failure"], found["log"])
    if "problem" in found:
        raise TwintrainError(found["problem"], found["remedy"])
    return Diagnosis.model_validate(found)


def main(module: str, outcome: str, deadline: str) -> None:
    """Diagnose and write the outcome; what is printed is progress."""
    import tensorflow as tf

    from twintrain.diagnosis.diagnose import diagnose_module
    from twintrain.diagnosis.watch.seams import WatchError
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
    except (Exception, WatchError) as error:
        told = f"Twintrain failed: {type(error).__name__}: {error}"
        text = json.dumps({"failure": told, "log": traceback.format_exc()[-LOG_TAIL:]})
    replace_text(Path(outcome), text)


if __name__ == "__main__":
    main(*sys.argv[1:4])
