"""The process a diagnosis happens in: `python -m twintrain.diagnosis.worker FOLDER DESCRIPTOR`, the
descriptor of a `lifeline`; progress on its standard output.

A process of its own, because the user's code may change global state, hang in C++ or be killed, and
because its chatter does not belong on the terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pydantic import BaseModel

from twintrain.diagnosis.budget import DEADLINE, READING
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.scripts.workplace import Copies
from twintrain.diagnosis.stopwatch import PATIENCE
from twintrain.errors import TwintrainError
from twintrain.processes.endings import OutOfMemoryCount, how_it_ended
from twintrain.processes.lifeline import hold_on_to, lifeline
from twintrain.processes.replacing import replace_text
from twintrain.processes.scratch import scratch

# Seconds in which TensorFlow and the module must be there; importing them is not the diagnosis.
IMPORTING = 600.0
# Seconds beyond the deadline after which the process is killed.
GRACE = 60.0
# Seconds between two looks at the process.
LOOKING_AFTER = 0.2
_LESS_MEMORY = "Let it load less data, or run less beside it."
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


class Task(BaseModel):
    """What is to be diagnosed.

    Attributes:
        files: a module of four functions, or one or two scripts or notebooks.
        arguments: of the scripts.
        fit, loop: lines that were chosen, where a script trains more than twice.
        deadline: seconds.
        here: the folder the command is given in.
        memory: bytes that the process may take; None for any number.
    """

    files: list[Path]
    arguments: list[str] = []
    fit: int | None = None
    loop: int | None = None
    deadline: float = DEADLINE
    here: Path = Path()
    memory: int | None = None


def run(task: Task, report: Callable[[str], None]) -> Diagnosis:
    """Diagnose in a process of its own, on a copy of the folder the code lies in.

    Raises:
        CodeFailedError: its code raised, or did not end even when it was stopped.
        TwintrainError: its code is not what can be diagnosed, or its process was killed.
        DiagnosisFailedError: the diagnosis failed, or its process was ended by another signal.
    """
    before = OutOfMemoryCount.now()
    with scratch("diagnosis") as folder, lifeline() as tie:
        outcome, log = folder / "outcome.json", folder / "log"
        with log.open("wb") as file:
            child = _start(task, folder, file, tie)
        follower = _Follower(child, task.deadline + GRACE, report, task.memory)
        follower.follow()
        if outcome.exists():
            return _read(json.loads(outcome.read_text(encoding="utf-8")))
        if follower.stopped:
            problem, remedy = follower.stopped
            raise CodeFailedError(problem, remedy, "")
        tail = log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        told, remedy = how_it_ended(
            "The process of the diagnosis", child.returncode, before, _LESS_MEMORY
        )
        if child.returncode == -signal.SIGKILL:
            raise TwintrainError(f"{told} {follower.times()}", remedy)
        raise DiagnosisFailedError(f"{told} {follower.times()}", tail)


def _start(task: Task, folder: Path, log: IO[bytes], tie: int) -> subprocess.Popen[str]:
    (folder / "task.json").write_text(task.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "twintrain.diagnosis.worker", str(folder), str(tie)]
    quiet = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONWARNINGS": "ignore",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
    }
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, **quiet},
        text=True,
        # What the code starts is ended with it.
        start_new_session=True,
        pass_fds=(tie,),
    )


class _Follower:
    """Passes on what a process says, and kills it where it does not come back or takes too much.

    Args:
        child: the process.
        seconds: of its own that it may take from when the module has been imported.
        report: hears each line.
        memory: bytes it may take; None for any number.

    Attributes:
        stopped: why it was killed, and what to do; empty where it was not.
    """

    def __init__(
        self,
        child: subprocess.Popen[str],
        seconds: float,
        report: Callable[[str], None],
        memory: int | None,
    ) -> None:
        self.stopped: tuple[str, ...] = ()
        self._child, self._report, self._memory = child, report, memory
        self._seconds = seconds
        self._until = time.monotonic() + IMPORTING
        self._phases: list[tuple[str, float]] = [("starting TensorFlow", time.monotonic())]
        self._over = threading.Event()

    def follow(self) -> None:
        """Until the process ends."""
        watching = threading.Thread(target=self._watch, daemon=True)
        watching.start()
        try:
            for line in self._child.stdout or ():
                if line.strip():
                    self._phases.append((line.strip(), time.monotonic()))
                    self._report(line.strip())
                if line.startswith(READING):
                    self._until = time.monotonic() + self._seconds * PATIENCE
            self._child.wait()
        finally:
            self._over.set()
            self._kill()

    def times(self) -> str:
        """How long each phase took."""
        ends = [began for _, began in self._phases[1:]] + [time.monotonic()]
        took = [
            f"{name}: {end - began:.0f} s"
            for (name, began), end in zip(self._phases, ends, strict=True)
        ]
        return "; ".join(took) + "."

    def _watch(self) -> None:
        while not self._over.wait(LOOKING_AFTER):
            if time.monotonic() > self._until:
                self.stopped = (
                    f"The code did not come back. {self.times()}",
                    "It may wait for input or for more data; allow it more time with --deadline.",
                )
            elif self._memory is not None and _memory_of(self._child.pid) > self._memory:
                self.stopped = (
                    f"The code took more than the {self._memory / 2**30:.1f} GiB of memory it was "
                    f"allowed. {self.times()}",
                    "Let it load less data, or allow it more with --memory.",
                )
            if self.stopped:
                self._kill()
                return

    def _kill(self) -> None:
        """Kill the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.kill()


def _memory_of(process: int) -> int:
    """Bytes of memory a process holds, without the pages of files, which the system takes back when
    it needs them; 0 where it does not tell.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
        held = dict(line.split(":", 1) for line in lines)
        # Older kernels, and sandboxes, tell no more than all of it.
        names = ("RssAnon", "RssShmem") if "RssAnon" in held else ("VmRSS",)
        return sum(int(held[name].split()[0]) << 10 for name in names)
    except (OSError, ValueError, KeyError):
        return 0


def _read(found: dict[str, str]) -> Diagnosis:
    if "traceback" in found:
        raise CodeFailedError(found["problem"], found["remedy"], found["traceback"])
    if "failure" in found:
        raise DiagnosisFailedError(found["failure"], found["log"])
    if "problem" in found:
        raise TwintrainError(found["problem"], found["remedy"])
    return Diagnosis.model_validate(found)


def main(folder: Path) -> None:
    """Diagnose and write the outcome; what is printed is progress."""
    from twintrain.diagnosis.watch.seams import WatchError
    from twintrain.diagnosis.watch.user_module import UserCodeError

    report = _reporting()
    task = Task.model_validate_json((folder / "task.json").read_bytes())
    copies = Copies(task.files, task.here, folder / "copy")
    try:
        text = _diagnosed(task, copies, report).model_dump_json()
    except UserCodeError as error:
        told = _asked(error.text) or ("raised", "")
        problem = f"{error.where} {told[0]}."
        text = json.dumps({"problem": problem, "remedy": told[1], "traceback": error.text})
    except TwintrainError as error:
        text = json.dumps({"problem": error.problem, "remedy": error.remedy})
    except (Exception, WatchError) as error:
        failed = f"Twintrain failed: {type(error).__name__}: {error}"
        text = json.dumps({"failure": failed, "log": traceback.format_exc()[-LOG_TAIL:]})
    replace_text(folder / "outcome.json", copies.as_named(text))


def _asked(traceback_: str) -> tuple[str, str] | None:
    """What code did, and what to do about it, where it waits for somebody to type."""
    if "AsksForInputError" not in traceback_:
        return None
    lines = re.findall(r"line (\d+)", traceback_)
    return f"asks for input at line {lines[-1] if lines else '?'}", "Give it a value there instead."


def _reporting() -> Callable[[str], None]:
    """What prints progress; whatever else is printed, also by processes that the code starts, goes
    where errors go.
    """
    progress = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return lambda line: print(line, file=progress)


def _diagnosed(task: Task, copies: Copies, report: Callable[[str], None]) -> Diagnosis:
    """The diagnosis of files, by functions or as scripts."""
    import tensorflow as tf

    from twintrain.diagnosis.diagnose import diagnose_module
    from twintrain.diagnosis.scripts.diagnose_scripts import Choice, diagnose_scripts
    from twintrain.diagnosis.scripts.notebook import in_cells
    from twintrain.diagnosis.scripts.program import Program
    from twintrain.diagnosis.scripts.source import look

    # Of one device a distribution strategy makes one replica, which trains on whole batches like
    # any other code.
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:1], "GPU")
    sources = look(task.files)
    if sources[0].is_functions:
        os.chdir(copies.roots[0])
        sys.path.insert(0, str(copies.roots[0]))
        return diagnose_module(copies.files[0], task.deadline, report=report)
    programs = [
        Program(source, path, root, task.arguments)
        for source, path, root in zip(sources, copies.files, copies.roots, strict=True)
    ]
    choice = Choice(task.fit, task.loop)
    return in_cells(diagnose_scripts(programs, choice, task.deadline, report=report), sources)


if __name__ == "__main__":
    hold_on_to(int(sys.argv[2]))
    main(Path(sys.argv[1]))
