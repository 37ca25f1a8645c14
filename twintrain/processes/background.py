"""A process that works in the background, watched from here: what it is at, how its calls end.

with Background(log, "Finished epochs are kept.") as process:
    process.begin(train, job)
    while not process.has_ended(0.5):
        show(process.last_text())
    process.outcome()
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from twintrain.processes.endings import OutOfMemoryCount
from twintrain.processes.isolated import gpus_as_before
from twintrain.processes.progress import VARIABLE, last_text
from twintrain.processes.scratch import prefix_of, remove_abandoned
from twintrain.processes.spawned import killed, pool_of_one, process_of, status_of


class Background:
    """One process, which takes one call after the other; use it as a context manager.

    It sees the GPUs even where they are hidden from this one, and ends with it.

    Args:
        log: file for what TensorFlow and the functions have to say.
        kept: what is left of the work when the process is killed, in a sentence.
        initializer: called first in the process; picklable, as its arguments.
        arguments: of the initializer.
    """

    def __init__(
        self,
        log: Path,
        kept: str,
        initializer: Callable[..., object] | None = None,
        arguments: Sequence[Any] = (),
    ) -> None:
        self._kept = kept
        self._future: Future[Any] | None = None
        self._process: BaseProcess | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=prefix_of("progress"))
        os.close(handle)
        self._file, self._read = Path(name), 0
        self._before = OutOfMemoryCount.now()
        with gpus_as_before():
            self._pool = pool_of_one(_begin, (name, log, initializer, tuple(arguments)))

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()  # there is no other way to stop a running call
        self._pool.shutdown(cancel_futures=True)
        remove_abandoned()
        self._file.unlink(missing_ok=True)

    def begin(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function(*arguments)` in the process and go on; both must be picklable."""
        with gpus_as_before():
            self._future = self._pool.submit(function, *arguments)
            self._process = process_of(self._pool)

    def has_ended(self, seconds: float) -> bool:
        """Whether the call ends within so many seconds, well or not."""
        assert self._future is not None
        try:
            self._future.exception(timeout=seconds)
        except NotYet:
            return False
        return True

    def outcome(self) -> Any:
        """What the call returned, once it has ended.

        Raises:
            TwintrainError: the process was killed; names the signal.
            Exception: whatever the function raised.
        """
        assert self._future is not None
        try:
            return self._future.result()
        except BrokenProcessPool as error:
            raise killed(status_of(self._process), self._before, self._kept) from error

    def last_text(self) -> str:
        """What the process told last, for a person; empty when it has told nothing."""
        return last_text(self._file)

    def news(self) -> list[dict[str, Any]]:
        """The events told since this was last asked, in order; see `report_progress`."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            lines = file.read().rpartition(b"\n")[0]  # what follows is half written
        if not lines:
            return []
        self._read += len(lines) + 1
        return [json.loads(line) for line in lines.splitlines()]


def _begin(
    progress_file: str,
    log: Path,
    initializer: Callable[..., object] | None,
    arguments: tuple[Any, ...],
) -> None:
    os.environ[VARIABLE] = progress_file
    # TensorFlow's native code writes to the descriptor, past Python.
    with log.open("ab") as file:
        for descriptor in (1, 2):  # what the user's code prints, too
            os.dup2(file.fileno(), descriptor)
    if initializer is not None:
        initializer(*arguments)
