"""Run a function in a fresh process that owns the GPU, while the calling process cannot see it.

TensorFlow takes hold of every visible GPU when it first runs, and keeps its memory until the
process ends. The process that runs Beam must therefore not see the GPU, and each training gets a
process of its own, which also gives all its memory back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from twintrain.processes.endings import OutOfMemoryCount
from twintrain.processes.scratch import remove_abandoned
from twintrain.processes.spawned import begin_ahead, killed, pool_of_one, process_of, status_of

Result = TypeVar("Result")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_HIDDEN_FROM = "TWINTRAIN_TRAINERS_SEE_DEVICES"
_UNSET = "unset"


def hide_gpus() -> None:
    """Hide GPUs from this process and its children; `run_isolated` shows them to its own again."""
    os.environ.setdefault(_HIDDEN_FROM, os.environ.get(_VISIBLE, _UNSET))
    os.environ[_VISIBLE] = "-1"


@contextmanager
def gpus_as_before() -> Iterator[None]:
    """Processes started inside see the GPUs that `hide_gpus` has hidden."""
    before = os.environ.get(_HIDDEN_FROM)
    if before is None:
        yield
        return
    hidden = os.environ.pop(_VISIBLE)
    if before != _UNSET:
        os.environ[_VISIBLE] = before
    try:
        yield
    finally:
        os.environ[_VISIBLE] = hidden


def expect_isolated(modules: Sequence[str]) -> None:
    """Announce calls of `run_isolated`: what they need to begin at once is imported meanwhile.

    Args:
        modules: those of the functions that will be called.
    """
    with gpus_as_before():
        begin_ahead(modules)


def run_isolated(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call `function(*arguments)` in a process of its own; both must be picklable.

    Raises:
        TwintrainError: the process was killed; names the signal.
        Exception: whatever `function` raised.
    """
    before, process = OutOfMemoryCount.now(), None
    with gpus_as_before(), pool_of_one() as pool:
        try:
            future = pool.submit(function, *arguments)
            process = process_of(pool)
            return future.result()
        except BrokenProcessPool as error:
            remove_abandoned()
            raise killed(status_of(process), before, "Finished epochs are kept.") from error
