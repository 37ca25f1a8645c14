"""A search by several processes at once: keras-tuner's chief, which hands out trials, and workers
that run them.

The workers are processes of the chief's machine or, on a cluster, also of steps of their own
(`twintrain.processes.worker_group`). They take the trials a single process would have run, in the
same order and with the same values. A worker that dies takes its trial with it; the others go on,
and what is left at the end is run by the caller. Nothing waits for ever: when no trial has ended
for the recipe's `tuning.stall_minutes`, the workers are ended.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from twintrain.processes.spawned import end, start
from twintrain.processes.worker_group import WorkerGroup, share_of_gpus

_POLL, _HEARTBEAT, _GONE = 0.5, 5.0, 20.0  # seconds
_IP, _PORT, _ID = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"


@dataclass(frozen=True)
class Search:
    """A search to be made by several.

    Attributes:
        search: builds the tuner and searches; picklable. In the chief, building it serves until it
            is ended.
        folder: where keras-tuner keeps this project.
        trials: how many there are to make.
        stall_seconds: give up when no trial has ended for so long.
    """

    search: Callable[[], object]
    folder: Path
    trials: int
    stall_seconds: float


def run_workers(
    job: Search, workers: int, report: Callable[[int], None], group: WorkerGroup | None = None
) -> list[int]:
    """Have several processes search together; the state of the search is left in `job.folder`.

    Args:
        job: the search.
        workers: how many processes of this machine run trials, beside the chief.
        report: called with the number of trials that have ended, whenever it changes.
        group: further workers, in steps of their own, which call `help_search`.

    Returns:
        the exit status of each worker of this machine; negative for a signal, also for those that
        were given up.
    """
    place = group or WorkerGroup(0, 1, job.folder, host="127.0.0.1")
    port = place.free_port()
    reached = f"{place.host}:{port}" if group is None else group.announce(port)[0]
    hidden = {"CUDA_VISIBLE_DEVICES": "-1"}  # the chief trains nothing
    chief = start(job.search, environment=_told(reached, "chief") | hidden)
    staff = [
        start(
            job.search,
            environment=_told(reached, f"worker-{number}") | share_of_gpus(number, workers),
        )
        for number in range(workers)
    ]
    ended = finished(job.folder)
    last = busy = time.monotonic()
    try:
        while chief.is_alive() and (
            _any_alive(staff) or (group is not None and ended < job.trials)
        ):
            time.sleep(_POLL)
            now = finished(job.folder)
            if now != ended:
                ended, last = now, time.monotonic()
                report(ended)
            if _any_alive(staff) or (group is not None and _helper_there(group)):
                busy = time.monotonic()
            # A helper that is gone, not only out of reach for a moment, will not end its trial.
            if time.monotonic() - last > job.stall_seconds or time.monotonic() - busy > _GONE:
                break
    finally:
        end((*staff, chief))
    return [worker.exitcode or 0 for worker in staff]


def help_search(job: Search, group: WorkerGroup) -> None:
    """Run trials for the chief in another step until it has none left, is gone, or has not come in
    time.
    """
    group.announce(0)  # called by nobody: for as long as it is there, the chief waits for its trial
    deadline = time.monotonic() + job.stall_seconds
    while (reached := group.address_of(0)) is None:
        if group.over or time.monotonic() > deadline:
            return
        time.sleep(_POLL)
    worker = start(job.search, environment=_told(reached, f"worker-of-step-{group.member}"))
    seen = time.monotonic()
    try:
        while worker.is_alive() and not group.over and time.monotonic() - seen < job.stall_seconds:
            worker.join(_HEARTBEAT)
            if group.address_of(0) is not None:
                seen = time.monotonic()
    finally:
        end((worker,))


def finished(folder: Path) -> int:
    """How many trials of a search have ended well."""
    done = 0
    for path in folder.glob("trial_*/trial.json"):
        try:
            done += json.loads(path.read_text(encoding="utf-8"))["status"] == "COMPLETED"
        except (OSError, ValueError):
            continue  # being written
    return done


def in_a_group() -> bool:
    """Whether this process is one of several that search together."""
    return _IP in os.environ


def _told(reached: str, name: str) -> dict[str, str]:
    host, port = reached.rsplit(":", 1)
    return {_IP: host, _PORT: port, _ID: name}


def _any_alive(processes: Iterable[BaseProcess]) -> bool:
    return any(process.is_alive() for process in processes)


def _helper_there(group: WorkerGroup) -> bool:
    return any(group.address_of(member) is not None for member in range(1, group.size))
