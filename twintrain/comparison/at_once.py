"""Both twins trained at the same time, each in a process of its own.

One training of a small model leaves most cores of a machine idle: under op determinism, and with
kernels this small, it computes little in parallel.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from twintrain.problems.problem import Problem
from twintrain.processes.background import Background
from twintrain.recipe.recipe import TwinName
from twintrain.training.seeds import SeedsJob, Splits, forget_state, train_seeds

_POLL = 0.1  # seconds
Report = Callable[[str, int, int, str], None]


def can_train_at_once(jobs: Sequence[SeedsJob], problem: Problem, splits: Splits) -> bool:
    """Whether it is worth it, and problem and examples can be handed over.

    Not on a GPU: the first process takes all of its memory. Not from disk: both would read.
    """
    stores = (splits.train, splits.validation, splits.test)
    return (
        len(jobs) > 1
        and cores() > 1
        and all(store.in_memory for store in stores)
        and all(job.recipe.execution.strategy == "none" for job in jobs)
        and not tf.config.list_physical_devices("GPU")
        and _is_picklable(problem)
    )


def _is_picklable(problem: Problem) -> bool:
    """Whether a problem can be handed to a process; a function without a name of its own cannot."""
    try:
        pickle.dumps(problem)
    except Exception:  # pickle raises what the objects within raise
        return False
    return True


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def train_at_once(
    jobs: Sequence[SeedsJob], problem: Problem, splits: Splits, folder: Path, report: Report
) -> None:
    """Do all jobs, each in a process of its own, and remove the state of those that have ended;
    where one fails, the others are ended.

    Args:
        jobs: of different twins.
        problem: what is learned; picklable.
        splits: the examples.
        folder: for what TensorFlow has to say, TWIN.log.
        report: told of every epoch, by twin.

    Raises:
        TwintrainError: a process was killed, or a training diverged.
    """
    with ExitStack() as stack:
        running: dict[TwinName, Background] = {}
        at = {job.twin: (0, job.recipe.training.epochs * len(job.seeds)) for job in jobs}
        for job in jobs:
            log = folder / f"{job.twin}.log"
            kept = f"Finished epochs are kept; what TensorFlow said last is in {log}."
            process = stack.enter_context(Background(log, kept))
            process.begin(_train, replace(job, at_once=True), problem, splits)
            running[job.twin] = process
        while running:
            for twin, process in list(running.items()):
                ended = process.has_ended(_POLL)
                for event in process.news():
                    # What is told besides, of a damaged state for example, counts no epochs.
                    at[twin] = (event.get("done", at[twin][0]), event.get("total", at[twin][1]))
                    report(twin, *at[twin], event["text"])
                if ended:
                    process.outcome()
                    forget_state(next(job for job in jobs if job.twin == twin))
                    del running[twin]


def _train(job: SeedsJob, problem: Problem, splits: Splits) -> None:
    train_seeds(job, problem, splits)  # its model stays in the process
