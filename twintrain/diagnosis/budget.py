"""The time a diagnosis may take, and where it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twintrain.diagnosis.stopwatch import Stopwatch
from twintrain.diagnosis.watch.on_disk import let_go

Report = Callable[[str], None]

# Seconds after which what has not ended by itself is stopped, unless told otherwise.
DEADLINE = 600.0
# The phase with which a diagnosis begins, once all has been imported.
READING = "reading the data"
# A run gets at least this, also where the deadline has passed.
_LEAST = 5.0


class Budget:
    """Seconds until the deadline, and those each phase took.

    Work is measured out in steps, rows and epochs; time only ends what would not end by itself, and
    it is the process's own (`Stopwatch`): a busy machine takes longer and says the same.

    Args:
        deadline: seconds of its own from now.
        report: hears what is being done.

    Attributes:
        phases: seconds of the clock per phase, in order.
    """

    def __init__(self, deadline: float, report: Report) -> None:
        self.phases: dict[str, float] = {}
        self._watch = Stopwatch()
        self._deadline = deadline
        self._report = report

    @property
    def spent(self) -> float:
        """Seconds of the clock since the start."""
        return self._watch.clock

    @property
    def passed(self) -> bool:
        """Whether the deadline has."""
        return self._watch.own >= self._deadline

    def share(self, runs: int) -> float:
        """Seconds of its own for one of so many runs that are still to come."""
        return max(_LEAST, (self._deadline - self._watch.own) / runs)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Report and time a phase."""
        self._report(name)
        before = time.monotonic()
        try:
            yield
        finally:
            let_go()
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - before
