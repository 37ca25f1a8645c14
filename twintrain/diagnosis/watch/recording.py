"""What the observers of one training share: the trace they fill, and where the training stands."""

from __future__ import annotations

import time
from typing import Any

import keras

from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.places import Source
from twintrain.diagnosis.watch.seams import identity
from twintrain.diagnosis.watch.trace import (
    Arrays,
    Evaluation,
    MetricEvent,
    Step,
    Trace,
    snapshot,
    state_variables,
    value_of,
)
from twintrain.diagnosis.watch.trained_model import TrainedModel, shares_variables
from twintrain.diagnosis.watch.weight_order import counted_weights


class Enough(BaseException):
    """Raised inside the watched function when enough was seen; not an `Exception`, so that nobody
    catches it.
    """


class Recording:
    """A trace that is being filled.

    A forward pass may call several layers, and several models: all calls under one tape, until a
    gradient is taken, are one forward pass. Of each model called there is a step; that of the model
    whose gradient is taken stays in the trace.

    Args:
        trace: what to fill.
        close: how many steps from each boundary on keep their weights and optimizer state.
        most: steps after which the function is stopped with `Enough`.
        timer: when it is over, likewise.
        given: the model the function under watch gets.

    Attributes:
        trace: as given.
        tapes: gradient tapes that are open.
        element: pulled last from a data set.
        source: where that comes from.
        trained: the model that is trained.
        under_way: the steps of the forward pass under way, or of the last one: one for each model.
    """

    def __init__(
        self, trace: Trace, close: int, most: int, timer: Timer, given: keras.Model
    ) -> None:
        self.trace = trace
        self.tapes = 0
        self.element: Any = None
        self.source = Source()
        self.trained = TrainedModel(given)
        self.under_way: list[Step] = []
        self._close, self._most, self._timer = close, most, timer
        self._since_boundary = 0
        self._extends = False
        self._started = time.monotonic()

    @property
    def step(self) -> Step | None:
        """The step under way, or else the last one; None before the first."""
        return self.trace.steps[-1] if self.trace.steps else None

    @property
    def position(self) -> int:
        """Training steps taken; a forward pass that no gradient was asked of is none."""
        asked = self.step is None or self.step.target is not None
        return len(self.trace.steps) - (0 if asked else 1)

    def check(self) -> None:
        """Stop the function under watch where enough was seen.

        Raises:
            Enough: it was.
        """
        if self.position >= self._most:
            raise Enough
        self.check_time()

    def check_time(self) -> None:
        """The same, by the time alone."""
        if self._timer.over:
            raise Enough

    def begin_iteration(self) -> None:
        """A pass over data begins: the steps from here on are kept in full again."""
        if not self.tapes:
            self._drop_unasked()
        if self.step is not None:
            self.finish_step()
            self.step.boundary = True
            self._since_boundary = 0

    def prepare(self) -> None:
        """Before a call under a tape: begin a forward pass unless one is under way.

        Raises:
            Enough: enough was seen.
        """
        if self._extends:
            return
        self._drop_unasked()
        self.check()
        self.finish_step()
        self.under_way = []
        self._extends = True

    def step_of(self, model: keras.Model) -> Step | None:
        """The step of a model in the forward pass under way."""
        return next((step for step in self.under_way if step.model is model), None)

    def add(self, step: Step) -> None:
        """Add the first step of a model to the forward pass, and show it unless another model is
        known to be the one trained.
        """
        if self.trace.seconds_to_first is None:
            self.trace.seconds_to_first = time.monotonic() - self._started
        if self._since_boundary >= self._close:
            step.before, step.states, step.calls = None, [], []
        self.under_way.append(step)
        shown = [other for other in self.under_way if other is self.step]
        ours = any(other.model is self.trained.model for other in shown)
        if step.model is self.trained.model or not (self.trained.settled or ours):
            self._show(step)

    def _show(self, step: Step) -> None:
        """Let a step of the forward pass stand in the trace, in place of those of other models."""
        steps = self.trace.steps
        if steps and any(steps[-1] is other for other in self.under_way):
            steps.pop()
        steps.append(step)

    def trained_by(self, sources: list[int]) -> Step | None:
        """The step of the forward pass whose gradient is taken.

        Args:
            sources: what a tape was asked for, by identity.

        Returns:
            None where these are no variables of a model that was called (inputs, say), or those of
            a model that only helps to train another.
        """
        known = [(step, positions_of(step.model)) for step in self.under_way]
        counts = [sum(source in positions for source in sources) for _, positions in known]
        if not any(counts):
            return None
        self._extends = False
        ranks = [
            (count > 0, step.model is self.trained.model, count)
            for (step, _), count in zip(known, counts, strict=True)
        ]
        step = known[ranks.index(max(ranks))][0]
        if not self.trained.settle(step.model):
            return None
        if self.step is not step:
            self._show(step)
            self._drop_others()
        if step.target is None:
            self._since_boundary += 1
        return step

    def close_tape(self) -> None:
        """A tape was left; with the last one, the forward pass is over."""
        self.tapes -= 1
        if not self.tapes:
            self._extends = False

    def finish_step(self) -> None:
        """Take the weights after the last step; they are final only when the next thing begins."""
        step = self.step
        if step is None or step.after is not None or step.target is None:
            return
        step.after = snapshot(step.model)
        previous = self.trace.steps[-2] if len(self.trace.steps) > 1 else None
        if previous is not None and previous.before is None and not previous.boundary:
            previous.after = None
            previous.optimizer_after = None

    def end(self) -> None:
        """The training is over: keep what belongs to the model that was trained."""
        self._drop_unasked()
        self.finish_step()
        model, evaluations = self.trace.model, self.trace.evaluations
        if model is not None:
            ours = [e for e in evaluations if shares_variables(e.model, model)]
            self.trace.evaluations = ours or evaluations

    def _drop_unasked(self) -> None:
        """Forget a forward pass under a tape that no gradient was asked of."""
        if self.step is not None and self.step.target is None:
            self.trace.steps.pop()

    def _drop_others(self) -> None:
        """Forget the steps of models that turn out not to be the one trained."""
        ours = {id(model) for model in self.trained.all}
        kept = [id(step.model) in ours for step in self.trace.steps]
        seen: list[Evaluation | MetricEvent] = [*self.trace.evaluations, *self.trace.metrics]
        for noted in seen:
            noted.position = sum(kept[: noted.position])
        self.trace.steps = [step for step in self.trace.steps if id(step.model) in ours]


def states_of(model: keras.Model) -> Arrays:
    """What the recurrent layers of a model carry over, copied."""
    return [value_of(state) for state in state_variables(model)]


def positions_of(model: keras.Model) -> dict[int, int]:
    """Position among the model's weights by identity of the variable."""
    return {identity(variable): index for index, variable in enumerate(counted_weights(model))}
