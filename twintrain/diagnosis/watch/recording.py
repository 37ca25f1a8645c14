"""What the observers of one training share: the trace they fill, and where the training stands."""

from __future__ import annotations

import time
from typing import Any

import keras

from twintrain.diagnosis.watch.seams import identity
from twintrain.diagnosis.watch.trace import Arrays, Step, Trace, snapshot


class Enough(BaseException):
    """Raised inside the watched function when enough was seen; not an `Exception`, so that nobody
    catches it.
    """


class Recording:
    """A trace that is being filled.

    Args:
        trace: what to fill.
        close: how many steps from each boundary on keep their weights and optimizer state.
        most: steps after which the function is stopped with `Enough`.
        until: the same, on the clock of `time.monotonic`.

    Attributes:
        trace: as given.
        tapes: gradient tapes that are open.
        element: pulled last from a data set.
    """

    def __init__(self, trace: Trace, close: int, most: int, until: float) -> None:
        self.trace = trace
        self.tapes = 0
        self.element: Any = None
        self._close, self._most, self._until = close, most, until
        self._since_boundary = 0
        self._started = time.monotonic()

    @property
    def step(self) -> Step | None:
        """The step under way, or else the last one; None before the first."""
        return self.trace.steps[-1] if self.trace.steps else None

    def check(self) -> None:
        """Stop the function under watch where enough was seen.

        Raises:
            Enough: it was.
        """
        if len(self.trace.steps) >= self._most:
            raise Enough
        self.check_time()

    def check_time(self) -> None:
        """The same, by the time alone."""
        if time.monotonic() > self._until:
            raise Enough

    def begin_iteration(self) -> None:
        """A pass over data begins: the steps from here on are kept in full again."""
        if self.step is not None:
            self.finish_step()
            self.step.boundary = True
            self._since_boundary = 0

    def begin_step(self, step: Step, before: Arrays) -> None:
        """Add a step, with the weights before it where it is one that is kept in full."""
        if self.step is not None and self.step.target is None:
            self.trace.steps.pop()  # a forward pass under a tape that nothing was asked of
        if self.trace.seconds_to_first is None:
            self.trace.seconds_to_first = time.monotonic() - self._started
        if self._since_boundary < self._close:
            step.before = before
        self._since_boundary += 1
        self.trace.steps.append(step)

    def finish_step(self) -> None:
        """Take the weights after the last step; they are final only when the next thing begins."""
        step = self.step
        if step is None or step.after is not None:
            return
        step.after = snapshot(step.model)
        previous = self.trace.steps[-2] if len(self.trace.steps) > 1 else None
        if previous is not None and previous.before is None and not previous.boundary:
            previous.after = None
            previous.optimizer_after = None


def positions_of(model: keras.Model) -> dict[int, int]:
    """Position in `model.variables` by identity of the variable."""
    return {identity(variable): index for index, variable in enumerate(model.variables)}
