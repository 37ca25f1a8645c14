"""Time as a process has it for itself, so that what is said of its code does not hang on what else
the machine is doing.
"""

from __future__ import annotations

import time

# On a busy machine, the seconds of the clock that may go by for one of the process's own; one that
# sleeps or waits has none of its own, and these are counted instead.
PATIENCE = 3.0


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._clock, self._processor = time.monotonic(), time.process_time()

    @property
    def clock(self) -> float:
        """Seconds that went by."""
        return time.monotonic() - self._clock

    @property
    def own(self) -> float:
        """Seconds in which the process had a processor, at most those that went by, and at least a
        `PATIENCE`th of them.
        """
        clock = self.clock
        return min(clock, max(time.process_time() - self._processor, clock / PATIENCE))


class Timer:
    """Tells when so many of the process's own seconds have gone by."""

    def __init__(self, seconds: float) -> None:
        self._watch, self._seconds = Stopwatch(), seconds

    @property
    def over(self) -> bool:
        """Whether they have."""
        return self._watch.own > self._seconds
