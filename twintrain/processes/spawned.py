"""Processes started fresh, as every training is: nothing of this process is in them, and its end is
theirs.

On Linux they are forked off one that has done nothing but import TensorFlow (the "forkserver"):
importing it takes each of them 5 to 10 seconds of a processor otherwise. It runs nothing in that
one, which would not survive a fork: neither threads nor devices are set up before the first
operation. What they share is the order of sets of texts; NumPy's own random numbers they do not.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

from twintrain import garbage
from twintrain.errors import TwintrainError
from twintrain.processes.endings import LESS_MEMORY, OutOfMemoryCount, how_it_ended
from twintrain.processes.scratch import own_temporary_directory, remove_abandoned

_ENDING = 5.0  # seconds that a process may take to be gone when its pipes are closed
# Characters that the address of the forkserver's socket has beyond the temporary directory's, and
# may have in all (sun_path of unix(7)).
_SOCKET, _ADDRESS = len("/pymp-12345678/listener-12345678"), 107
# What processes are forked with; further modules of ours only save what they take to import.
_FORKED_WITH = "twintrain.processes.forked_with"
multiprocessing.set_forkserver_preload([_FORKED_WITH])


def _forks() -> bool:
    """Whether processes can be forked off one here."""
    return sys.platform == "linux" and len(tempfile.gettempdir()) + _SOCKET <= _ADDRESS


def _context() -> Any:
    return multiprocessing.get_context("forkserver" if _forks() else "spawn")


def begin_ahead(modules: Sequence[str] = ()) -> None:
    """Start what processes are forked off, if it is not running yet, and go on meanwhile.

    Args:
        modules: imported in it beside Keras; importing them must run nothing on a device.
    """
    if _forks():
        multiprocessing.set_forkserver_preload([_FORKED_WITH, *modules])
        with suppress(OSError):  # whoever starts a process tries again, and says what is wrong
            forkserver.ensure_running()


def start(
    function: Callable[..., object], *arguments: Any, environment: Mapping[str, str]
) -> BaseProcess:
    """Call `function(*arguments)` in a process of its own and go on.

    Args:
        function: picklable, as its arguments.
        arguments: handed to it.
        environment: variables that only this process is to have.
    """
    given = dict(os.environ) | dict(environment)
    process: BaseProcess = _context().Process(
        target=_begin, args=(given, function, arguments), daemon=True
    )
    process.start()
    return process


def _begin(
    environment: dict[str, str], function: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    _take_over(environment)
    end_with_parent()
    function(*arguments)


def _take_over(environment: Mapping[str, str]) -> None:
    """Have the variables of the process that asked: what one is forked off has those of its own
    start.
    """
    os.environ.clear()
    os.environ.update(environment)
    own_temporary_directory()
    garbage.keep_all()  # what was there before this process began stays as long as it does
    if "numpy" in sys.modules:
        # Or what is drawn without a seed would be the same in each, and an accident look like
        # agreement.
        sys.modules["numpy"].random.seed()


def pool_of_one(
    initializer: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """A process that takes one call after the other, and ends with this one."""
    return ProcessPoolExecutor(
        1,
        _context(),
        initializer=_begin_pool,
        initargs=(dict(os.environ), initializer, arguments),
    )


def _begin_pool(
    environment: Mapping[str, str],
    initializer: Callable[..., object] | None,
    arguments: tuple[Any, ...],
) -> None:
    _take_over(environment)
    end_with_parent()
    if initializer is not None:
        initializer(*arguments)


def process_of(pool: ProcessPoolExecutor) -> BaseProcess | None:
    """The process of a `pool_of_one` that has been given a call; None where it is gone already."""
    return next(iter((pool._processes or {}).values()), None)


def end(processes: Iterable[BaseProcess]) -> None:
    """End processes that may have ended already, without asking them."""
    for process in processes:
        process.kill()
        process.join()
    remove_abandoned()


def end_with_parent() -> None:
    """Have this process end when the one that started it does: a parent that was killed cannot
    clean up.

    Without this its child would keep the GPU for ever.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def killed(status: int | None, before: OutOfMemoryCount, kept: str) -> TwintrainError:
    """What to say of a training process that ended without a word.

    Args:
        status: its exit status, -N where signal N ended it; None where that is not known.
        before: taken before it was started.
        kept: what of its work is not lost, as a sentence.
    """
    problem, remedy = how_it_ended("The training process", status, before, LESS_MEMORY)
    return TwintrainError(problem, f"{remedy} {kept} The same command goes on from there.")


def status_of(process: BaseProcess | None) -> int | None:
    """How a process that is ending ended; None where that is not known."""
    if process is None:
        return None
    process.join(_ENDING)
    return process.exitcode
