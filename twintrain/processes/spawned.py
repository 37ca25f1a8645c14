"""Processes started fresh, as every training is: nothing of this process is in them, and its end is
theirs.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Any

from twintrain.errors import TwintrainError
from twintrain.processes.endings import LESS_MEMORY, OutOfMemoryCount, how_it_ended

_ENDING = 5.0  # seconds that a process may take to be gone when its pipes are closed
_CONTEXT = multiprocessing.get_context("spawn")


def start(
    function: Callable[..., object], *arguments: Any, environment: Mapping[str, str]
) -> SpawnProcess:
    """Call `function(*arguments)` in a process of its own and go on.

    Args:
        function: picklable, as its arguments.
        arguments: handed to it.
        environment: variables that only this process is to have.
    """
    process = _CONTEXT.Process(
        target=_begin, args=(dict(environment), function, arguments), daemon=True
    )
    process.start()
    return process


def _begin(
    environment: dict[str, str], function: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(environment)
    end_with_parent()
    function(*arguments)


def pool_of_one(
    initializer: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """A process that takes one call after the other, and ends with this one."""
    return ProcessPoolExecutor(
        1, _CONTEXT, initializer=_begin_pool, initargs=(initializer, arguments)
    )


def _begin_pool(initializer: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    if initializer is not None:
        initializer(*arguments)


def process_of(pool: ProcessPoolExecutor) -> BaseProcess | None:
    """The process of a `pool_of_one` that has been given a call; None where it is gone already."""
    return next(iter((pool._processes or {}).values()), None)


def end(processes: Iterable[SpawnProcess]) -> None:
    """End processes that may have ended already, without asking them."""
    for process in processes:
        process.kill()
        process.join()


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
