"""How a process ended that did not say so: which signal, and what the kernel says of memory."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

# Counters of processes that were ended because memory ran out: of this container (control groups,
# version 2 and 1), and of the machine since it started.
_COUNTERS = (
    Path("/sys/fs/cgroup/memory.events"),
    Path("/sys/fs/cgroup/memory/memory.oom_control"),
    Path("/proc/vmstat"),
)
_FIELD = "oom_kill"
LESS_MEMORY = "Lower data.memory_limit_mb or training.batch_size, or run less beside it."


@dataclass(frozen=True)
class OutOfMemoryCount:
    """How often memory had run out when this was taken.

    Attributes:
        counts: by file; empty where the kernel does not tell.
    """

    counts: dict[Path, int]

    @classmethod
    def now(cls) -> OutOfMemoryCount:
        """As it is now; take it before the process is started."""
        found = {path: count for path in _COUNTERS if (count := _count_in(path)) is not None}
        return cls(found)

    def has_risen(self) -> bool | None:
        """Whether memory has run out since; None where the kernel does not tell."""
        if not self.counts:
            return None
        later = OutOfMemoryCount.now().counts
        return any(later.get(path, 0) > count for path, count in self.counts.items())


def _count_in(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found = (line.split() for line in lines if line.startswith(f"{_FIELD} "))
    return next((int(parts[1]) for parts in found if parts[1:] and parts[1].isdecimal()), None)


def how_it_ended(
    what: str, status: int | None, before: OutOfMemoryCount, less_memory: str
) -> tuple[str, str]:
    """What to say of a process that ended without a word.

    Args:
        what: the process, as the beginning of a sentence.
        status: its exit status, -N where signal N ended it; None where that is not known.
        before: taken before it was started.
        less_memory: how it would take less memory, as a sentence.

    Returns:
        a sentence that says what happened, and one that says what to do.
    """
    if status is not None and status >= 0:
        return f"{what} ended with status {status} without a word.", "Its log may say more."
    named = "" if status is None else f" by {_name_of(-status)}"
    if status not in (None, -signal.SIGKILL):
        return f"{what} was ended{named}.", "Its log may say more."
    risen = before.has_risen()
    if risen:
        return f"{what} was killed{named}; memory ran out meanwhile, says the kernel.", less_memory
    if risen is None:
        told = f"{what} was killed{named}; the kernel does not say whether memory ran out."
        return told, less_memory
    return (
        f"{what} was killed{named}; memory had not run out, says the kernel, so it was somebody or "
        "something else.",
        "Start it again.",
    )


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
