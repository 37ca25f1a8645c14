"""Runs that are ended, for `chaos.py`: cut at every write, and killed at random."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.chaos_run import Ended, Ground, Trial, differing

SHIM = str(Path(__file__).resolve().parent / "chaos_shim")
_LEAST, _LONGEST_LIFE = 2.0, 70.0  # seconds until a kill
_NOBODY_LEFT = 3.0  # seconds in which what belongs to a killed run must have ended


def cuts(undisturbed: Ground, expected: dict[str, Any], most: int, seed: int) -> Iterator[Trial]:
    """One run, cut at each of its writes in turn and gone on with, until it comes to its end."""
    ground = undisturbed.beside("cuts")
    done = ground.folder / "done"
    done.touch()
    watched = {"first": SHIM, "CHAOS_ROOT": str(ground.root), "CHAOS_DONE": str(done)}
    said = 0
    while True:
        ended = ground.run(**watched)
        places = done.read_text(encoding="utf-8").splitlines()
        if len(places) == said:
            break
        said = len(places)
        yield Trial(places[-1].split()[0], places[-1], _cut_wrong(ended), ended.seconds)
        if said == most:
            ended = ground.run()
            break
    yield _end("cuts", ground, ended, expected)


def _cut_wrong(ended: Ended) -> str:
    """What was not as it must be about a run that was cut: the command dies with the rest, or it
    says so in a sentence.
    """
    if ended.status == -signal.SIGKILL or (ended.status == 2 and ended.in_words):
        return ""
    return f"status {ended.status}: {ended.said[-400:]}"


def _end(part: str, ground: Ground, ended: Ended, expected: dict[str, Any]) -> Trial:
    """How the last run of a chain came out."""
    if ended.status:
        return Trial("end", part, f"status {ended.status}: {ended.said[-800:]}", ended.seconds)
    differences = differing(expected, ground.figures())
    return Trial("end", part, "; ".join(differences[:5]), ended.seconds)


def kills(undisturbed: Ground, expected: dict[str, Any], most: int, seed: int) -> Iterator[Trial]:
    """Kills at random moments, in chains that each end in a whole comparison."""
    chance, number, chain = Random(seed), 0, 0
    while number < most:
        ground, chain = undisturbed.beside(f"kills-{chain}"), chain + 1
        while number < most:
            whom = chance.choice(("all", "engine", "child", "command"))
            after = chance.uniform(_LEAST, _LONGEST_LIFE)
            struck = _strike(ground, whom, after)
            if struck is None:
                break  # it had come to its end before
            number += 1
            yield Trial(whom, f"{whom} after {after:.0f} s", struck, after)
        yield _end("kills", ground, ground.run(), expected)


def _strike(ground: Ground, whom: str, after: float) -> str | None:
    """Run, and kill in the middle.

    Returns:
        what was not as it must be; None if the run had ended by then.
    """
    process = ground.start()
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return None
        time.sleep(0.1)
    if whom == "all":
        ground.kill()
        process.wait()
        return ""
    victim = process.pid if whom == "command" else _victim(ground, process.pid, whom)
    if victim is None:
        ground.kill()
        process.wait()
        return ""
    with suppress(ProcessLookupError):  # it may have ended by itself
        os.kill(victim, signal.SIGKILL)
    status = process.wait()
    deadline = time.monotonic() + _NOBODY_LEFT
    while ground.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    left = ground.processes()
    ground.kill()
    if left:
        return f"{len(left)} processes lived on for {_NOBODY_LEFT:.0f} s"
    # A child may be one whose end nobody waits for; then the run goes through.
    fitting = {"command": (-signal.SIGKILL,), "engine": (2,), "child": (0, 2)}[whom]
    told = Ended(status, ground.said(), after)
    return "" if status in fitting and told.in_words else f"status {status}: {told.said[-400:]}"


def _victim(ground: Ground, command: int, whom: str) -> int | None:
    """The engine, which the command started, or the newest of the engine's children."""
    parents = {number: _parent(number) for number in ground.processes()}
    engine = next((number for number, parent in parents.items() if parent == command), None)
    if whom == "engine" or engine is None:
        return engine
    children = [number for number, parent in parents.items() if parent == engine]
    return max(children, default=None)


def _parent(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
