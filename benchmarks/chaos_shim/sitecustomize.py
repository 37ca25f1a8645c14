"""Python starts with this module in every process of a run that `benchmarks/chaos.py` cuts: the
first time that a place below the root is written, synced, linked or renamed, the run dies there.

CHAOS_ROOT    the root
CHAOS_DONE    a file of the places that have had their turn, a line each; they are passed by
CHAOS_TOKEN   in the environment of every process that dies together
CHAOS_COUNT   note the places, but do not die
CHAOS_SECONDS wait that long before each sync (a slow disk)

A cut is one of two. "killed": all processes are gone, and what they have written is there.
"power": what was written below the root in the last 30 seconds and never synced is lost as well;
its files are empty, as ext4 and XFS leave them. ML Metadata's own file is let be: SQLite syncs it.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = os.environ.get("CHAOS_ROOT", "")
DONE = os.environ.get("CHAOS_DONE", "")
TOKEN = os.environ.get("CHAOS_TOKEN", "")
SLOW = float(os.environ.get("CHAOS_SECONDS", "0"))
COUNT = bool(os.environ.get("CHAOS_COUNT"))
SYNCED = f"{DONE}.synced"  # inode and time of last change of what was synced
_UNSYNCED_FOR = 30.0  # seconds; then Linux writes out by itself
_VARYING = (
    (r"\.[0-9a-f]{8}-\d+-[0-9a-f]{8}\.partial", ".partial"),  # machine, process and a random part
    (r"\d{8}-\d{6}", "TIME"),
    (r"(?<=/)\d+(?=/|$)", "N"),  # of an execution, or a pushed version
    (r"[0-9a-f]{12,}", "DIGEST"),
    (r"tmp\w{8}", "TMP"),
)


def _place(path: str) -> str | None:
    """A path below the root without what is another in each run; None elsewhere."""
    below = os.path.relpath(path, ROOT)
    if below.startswith(".."):
        return None
    for pattern, instead in _VARYING:
        below = re.sub(pattern, instead, below)
    return below


def _turn(cut: str, doing: str, path: str) -> None:
    """Die here if this place has not had its turn."""
    place = _place(path)
    if place is None:
        return
    with open(DONE, "a+", encoding="utf-8") as done:
        done.seek(0)
        line = f"{cut} {doing} {place}"
        if line in done.read().splitlines():
            return
        done.write(line + "\n")
        done.flush()
        os.fdatasync(done.fileno())
    if COUNT:
        return
    if cut == "power":
        _lose_what_was_not_synced()
    _die()


def _lose_what_was_not_synced() -> None:
    synced = set(Path(SYNCED).read_text(encoding="utf-8").splitlines())
    for path in Path(ROOT).rglob("*"):
        found = path.lstat()
        new = time.time() - found.st_mtime < _UNSYNCED_FOR
        of_sqlite = path.name.startswith("metadata.sqlite")
        if stat.S_ISREG(found.st_mode) and new and not of_sqlite and _state(found) not in synced:
            os.truncate(path, 0)


def _state(found: os.stat_result) -> str:
    return f"{found.st_ino} {found.st_mtime_ns}"


def _die() -> None:
    """End every process that has the token, this one last."""
    from benchmarks.chaos_shim.marked_processes import end

    end(TOKEN, spared=os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


def _naming(name: str, real: Callable[..., Any], turns: tuple[str, ...]) -> Callable[..., Any]:
    """A call that gives a file its name, which is its second argument."""

    @functools.wraps(real)
    def call(source: Any, path: Any, *arguments: Any, **options: Any) -> Any:
        place = os.path.abspath(os.fspath(path))
        if "before" in turns:
            _turn("killed", f"before {name}", place)
        given = real(source, path, *arguments, **options)
        _turn("power" if "before" in turns else "killed", f"after {name}", place)
        return given

    return call


def _writing(real: Callable[..., int]) -> Callable[..., int]:
    """`Path.write_text` and the like of a name in the end: what gets its name by a rename is cut
    there.
    """

    @functools.wraps(real)
    def call(path: Path, *arguments: Any, **options: Any) -> int:
        written = real(path, *arguments, **options)
        if path.suffix != ".partial":
            _turn("killed", "after write", os.path.abspath(path))
            _turn("power", "after write", os.path.abspath(path))
        return written

    return call


def _syncing(real: Callable[[int], None]) -> Callable[[Any], None]:
    @functools.wraps(real)
    def call(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = os.readlink(f"/proc/self/fd/{number}")
        if _place(path) is None:
            return real(number)
        time.sleep(SLOW)
        if not os.path.isdir(path):
            _turn("power", "before fsync", path)
        real(number)
        with open(SYNCED, "a", encoding="utf-8") as synced:
            synced.write(_state(os.fstat(number)) + "\n")
        return None

    return call


def _watch() -> None:
    os.replace = _naming("rename", os.replace, ("before", "after"))
    os.rename = _naming("rename", os.rename, ("before", "after"))
    os.link = _naming("link", os.link, ("after",))
    os.fsync = _syncing(os.fsync)
    for name in ("write_text", "write_bytes"):
        setattr(Path, name, _writing(getattr(Path, name)))


if ROOT and DONE:
    open(SYNCED, "a", encoding="utf-8").close()
    _watch()
