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
from typing import Any

from twintrain.errors import TwintrainError

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
    """A process that takes one call after the other."""
    return ProcessPoolExecutor(1, _CONTEXT, initializer=initializer, initargs=arguments)


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


def killed(kept: str) -> TwintrainError:
    """What to say of a training process that ended without a word.

    Args:
        kept: what of its work is not lost, as a sentence.
    """
    return TwintrainError(
        "The training process was killed.",
        "Most often memory ran out: lower data.memory_limit_mb or training.batch_size. "
        f"{kept} The same command goes on from there.",
    )
