"""Watches a training from outside: the function under watch is not read, not changed, and need not
know.

While the watch is on, `tf.function` bodies run as plain Python (`tf.config.run_functions_eagerly`),
so everything that passes through a model, a loss, a tape, an optimizer, a metric or a data-set
iterator can be seen as it is. The seams are methods of Keras's and TensorFlow's own classes, an
observer for each family of them; each is put back when the watch ends, whatever happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import keras

from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.data_observer import DataObserver
from twintrain.diagnosis.watch.eager_functions import functions_as_python
from twintrain.diagnosis.watch.fit_observer import FitObserver
from twintrain.diagnosis.watch.line_observer import LineObserver
from twintrain.diagnosis.watch.model_observer import ModelObserver
from twintrain.diagnosis.watch.recording import Recording
from twintrain.diagnosis.watch.seams import Seam, wrapped
from twintrain.diagnosis.watch.trace import Trace
from twintrain.diagnosis.watch.update_observer import UpdateObserver

OBSERVERS = (ModelObserver, UpdateObserver, FitObserver, DataObserver, LineObserver)


class Watch:
    """Fills a trace while it is on.

    Args:
        trace: what to fill.
        close: how many steps from each boundary on keep their weights and optimizer state.
        most: steps after which the function is stopped with `Enough`.
        timer: when it is over, likewise.
        given: the model the function under watch gets.
    """

    def __init__(
        self, trace: Trace, close: int, most: int, timer: Timer, given: keras.Model
    ) -> None:
        self._recording = Recording(trace, close, most, timer, given)

    def begin(self) -> None:
        """The training begins only now: what was evaluated before is none of it."""
        self._recording.trace.evaluations.clear()

    def adopt(self, model: keras.Model) -> None:
        """Take a model for the one the function under watch was given."""
        self._recording.trained.adopt(model)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch within this context."""
        with ExitStack() as stack:
            for owner, method, seam in self._seams():
                stack.enter_context(wrapped(owner, method, seam))
            stack.enter_context(functions_as_python())
            try:
                yield
            finally:
                self._recording.end()

    def _seams(self) -> list[Seam]:
        seams = [seam for observer in OBSERVERS for seam in observer(self._recording).seams()]
        # Of a family, only the classes that define the method themselves.
        return [seam for seam in seams if seam[1] in seam[0].__dict__]
