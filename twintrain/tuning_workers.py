"""A search by several processes at once: keras-tuner's chief, which hands out trials, and workers that run them.

The workers take the trials a single process would have run, in the same order and with the same values. A worker that
dies takes its trial with it; the others go on, and what is left at the end is run by the caller. Nothing waits for ever:
when no trial has ended for the recipe's `tuning.stall_minutes`, the workers are ended.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path

from twintrain.isolation import end_with_parent

_POLL = 0.5
_IP, _PORT, _ID = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"


def run_workers(
    search: Callable[[], object], folder: Path, workers: int, stall_seconds: float, tell: Callable[[int], None]
) -> list[int]:
    """Have several processes search together; the state of the search is left in `folder`.

    Args:
        search: builds the tuner and searches; picklable. In the chief, building it serves until it is ended.
        folder: where keras-tuner keeps this project.
        workers: how many, beside the chief.
        stall_seconds: give up when no trial has ended for so long.
        tell: called with the number of trials that have ended, whenever it changes.

    Returns:
        each worker's exit status; negative for a signal, also for those that were given up.
    """
    address = {_IP: "127.0.0.1", _PORT: str(_free_port())}
    chief = _start(search, address | {_ID: "chief"})
    crew = [_start(search, address | {_ID: f"worker-{number}"} | _gpu(number)) for number in range(workers)]
    ended, last = finished(folder), time.monotonic()
    try:
        while any(worker.is_alive() for worker in crew) and chief.is_alive():
            time.sleep(_POLL)
            now = finished(folder)
            if now != ended:
                ended, last = now, time.monotonic()
                tell(ended)
            if time.monotonic() - last > stall_seconds:
                break
    finally:
        for process in (*crew, chief):
            process.kill()
            process.join()
    return [worker.exitcode or 0 for worker in crew]


def finished(folder: Path) -> int:
    """How many trials of a search have ended well."""
    done = 0
    for path in folder.glob("trial_*/trial.json"):
        try:
            done += json.loads(path.read_text(encoding="utf-8"))["status"] == "COMPLETED"
        except (OSError, ValueError):
            continue  # being written
    return done


def in_a_crew() -> bool:
    """Whether this process is one of several that search together."""
    return _IP in os.environ


def _start(search: Callable[[], object], environment: dict[str, str]) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(search, environment), daemon=True)
    process.start()
    return process


def _work(search: Callable[[], object], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    end_with_parent()
    search()


def _gpu(number: int) -> dict[str, str]:
    """One GPU for each worker, where the process was given a list of several."""
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name and name != "-1"]
    return {"CUDA_VISIBLE_DEVICES": visible[number % len(visible)]} if len(visible) > 1 else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
