"""Runs a program for the sake of one of its trainings.

That one is left as it is, but for how long it goes on, the rows it gets and the weights it starts
from. Other trainings are cut to one step, unseen, and the program ends before the first of them
that comes after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

from twintrain.diagnosis.scripts.entries import Entries, Entry
from twintrain.diagnosis.scripts.figures import figures_here
from twintrain.diagnosis.scripts.frames import place_in
from twintrain.diagnosis.scripts.inherited import Inherited
from twintrain.diagnosis.scripts.loop_marks import Key
from twintrain.diagnosis.scripts.loops import Loops, Pass
from twintrain.diagnosis.scripts.program import Finished, Program
from twintrain.diagnosis.scripts.same_start import SameStart, has_all_weights
from twintrain.diagnosis.scripts.served import Served
from twintrain.diagnosis.scripts.tiny_fit import (
    first_batch,
    first_inputs,
    given_to,
    inputs_like,
    tiny_fit,
)
from twintrain.diagnosis.scripts.trainings import Section, Training
from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.recording import Enough
from twintrain.diagnosis.watch.seams import Nesting, owner_of, suspended, wrapped
from twintrain.diagnosis.watch.trace import first_of

# Seconds for which a program may go on behind the training that is looked at.
AFTER_SECONDS = 20.0
# What is called when the studied `fit` begins, in place of it.
InPlaceOfFit = Callable[[keras.Model, dict[str, Any]], None]


class Study:
    """One run.

    Args:
        program: to be run.
        training: the one it is about.
        others: the other trainings of the program.
        epochs: to train for.
        steps: in an epoch, where the items of the loop are steps.
        served: rows for the program; None to leave it its own.
        start: hands weights over; None to leave the program its own.
        began: called when the training begins.
        in_place: called where `fit` would be, and ends the run.
        look_after: what follows the training is looked at, too.
        epoch_ended: called after each epoch of a loop; told whether the training ends with it.
        inherited: hears of what comes before the training.

    Attributes:
        done: the training came to its end.
        log: figures it left behind, one per epoch.
    """

    def __init__(
        self,
        program: Program,
        training: Training,
        others: Sequence[Training],
        epochs: int,
        steps: int,
        served: Served | None,
        start: SameStart | None,
        began: Callable[[], None] = lambda: None,
        in_place: InPlaceOfFit | None = None,
        look_after: bool = True,
        epoch_ended: Callable[[bool], None] = lambda last: None,
        inherited: Inherited | None = None,
    ) -> None:
        self._inherited = inherited or Inherited()
        self._program, self._training = program, training
        self._epochs, self._steps = epochs, steps
        self._served, self._start, self._began = served, start, began
        self._in_place, self._look_after = in_place, look_after
        self._epoch_ended = epoch_ended
        self._left = {(s.place, s.ordinal): s for s in training.sections}
        self._places = {s.place for t in (training, *others) for s in t.sections}
        self._within: Section | None = None
        self._other: Pass | None = None
        self._looking_away = ExitStack()
        self._loops = Loops(self._may_go_on, self._entered, self._left_loop)
        self._entries = Entries(program.folder, self._enter)
        self._layers, self._fits = Nesting(), Nesting()
        self._trained: list[keras.Model] = []
        self._flags: list[tuple[keras.layers.Layer, bool]] = []
        self._calls: Counter[Key] = Counter()
        self._begun = False
        self._ended: Timer | None = None
        self.log: Any = {}

    @property
    def done(self) -> bool:
        """Whether the training came to its end."""
        return not self._left and self._within is None

    def run(self) -> None:
        """Run the program.

        Raises:
            Exception: it raised before the training had ended.
        """
        if self._training.sections[0].repeats == "once":
            self._within = self._left.pop(next(iter(self._left)))
            self._begin()
        try:
            with self._on():
                self._program.run(self._loops)
            if self._within is not None and self._within.repeats == "once":
                self._within = None
        except Enough:
            if not self.done:
                raise
        except Exception:
            # What follows may be at odds with what was cut short.
            if not self.done:
                raise
        finally:
            self._looking_away.close()
            self._loops.close()
            # Those of the phase; what the program sets for the next one is none of its own.
            for layer, flag in self._flags:
                if layer.trainable != flag:
                    layer.trainable = flag

    @contextmanager
    def _on(self) -> Iterator[None]:
        model = keras.Model
        seams: list[tuple[type, str, Callable[..., Any]]] = [
            (owner_of(model, "fit"), "fit", self._fit),
            (owner_of(model, "evaluate"), "evaluate", self._evaluate),
            (owner_of(model, "predict"), "predict", self._predict),
            (keras.layers.Layer, "__call__", self._layer),
            (tf.GradientTape, "gradient", self._gradient),
            (owner_of(keras.optimizers.Optimizer, "apply"), "apply", self._apply),
        ]
        with ExitStack() as stack:
            stack.enter_context(self._entries.on())
            for owner, method, seam in seams:
                stack.enter_context(wrapped(owner, method, seam, always=True))
            yield

    # Loops.

    def _may_go_on(self, run: Pass) -> bool:
        section = self._within
        if self._ended is not None and self._ended.over:
            raise Finished
        if section is not None and (run.key, run.ordinal) == (section.place, section.ordinal):
            if section.repeats == "once":
                return True
            items = 1 if section.repeats == "epochs" else self._steps
            if run.items and run.items % items == 0:
                self._epoch_ended(False)
            return run.items < self._epochs * items
        if self._other is None:
            return True
        return run.steps == 0 and (run.key not in self._places or run.items < 1)

    def _entered(self, run: Pass) -> None:
        if run.key not in self._places:
            return
        section = self._left.pop((run.key, run.ordinal), None)
        if section is not None:
            self._look_again()
            self._within = section
            self._begin()
            # A graph that was traced in an earlier phase calls no layer any more.
            for model in list(self._inherited.models):
                self._inherited.begin(model)
                if self._start is not None:
                    self._start.take(model)
        elif self._within is None:
            self._begin_other()
            self._other = run
            self._looking_away.enter_context(suspended())

    def _left_loop(self, run: Pass) -> None:
        section = self._within
        if section is not None and (run.key, run.ordinal) == (section.place, section.ordinal):
            self._epoch_ended(not self._left)
            self.log = figures_here(self._program.folder, run.items)
            self._end()
        elif run is self._other:
            if self._in_earlier:
                self._inherited.end_phase()
            self._look_again()

    def _look_again(self) -> None:
        self._other = None
        self._looking_away.close()

    def _begin(self) -> None:
        """The training begins, or goes on with another of its parts."""
        if not self._begun:
            self._begun = True
            self._began()

    def _begin_other(self) -> None:
        """Another training begins.

        Raises:
            Finished: the one under study is over.
        """
        if self.done:
            raise Finished

    def _end(self) -> None:
        """A part of the training is over."""
        self._within = None
        self._flags = [
            (layer, layer.trainable) for model in self._trained for layer in model._flatten_layers()
        ]
        if self.done:
            self._ended = Timer(AFTER_SECONDS)
        if self.done and not self._look_after:
            self._looking_away.enter_context(suspended())

    @property
    def _in_earlier(self) -> bool:
        """Whether the program is in a loop of an earlier phase."""
        other = self._other
        return other is not None and (other.key, other.ordinal) in self._inherited.earlier

    # Keras.

    def _fit(self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any) -> Any:
        given = given_to(original, model, arguments, named)
        place = place_in(self._program.folder)
        self._calls[place] += 1
        _ = self._loops.chain  # forgets loops that were left, and ends what depends on them
        section = self._left.pop((place, self._calls[place]), None)
        if section is None and self._within is None:
            self._begin_other()
            earlier = (place, self._calls[place]) in self._inherited.earlier
            if earlier:
                self._inherited.note(model)
            with suspended(), self._fits:
                history = tiny_fit(original, model, given, one_step=earlier)
            if earlier:
                self._inherited.note(model)
                self._inherited.note_optimizer(model.optimizer)
                self._inherited.end_phase()
            return history
        if section is not None:
            self._look_again()
            first = int(given.get("initial_epoch", 0) or 0)
            given["epochs"] = first + self._epochs
        if self._served is not None:
            given = self._served.given(given)
        if self._in_place is not None:
            self._in_place(model, given)
            raise Finished
        if section is not None:
            self._within = section
            self._begin()
        self._inherited.begin(model)
        self._trained.append(model)
        if self._start is not None:
            inputs = inputs_like(given) if has_all_weights(model) else first_inputs(given)
            self._start.start(model, inputs)
        with self._fits:
            history = original(model, **given)
        if section is not None:
            self._end()
            self.log = history
        return history

    def _evaluate(
        self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any
    ) -> Any:
        given = given_to(original, model, arguments, named)
        if not self._fits.outermost:
            return original(model, **given)
        if self._within is None and not self.done:
            with suspended(), self._fits:
                return original(model, **first_batch(given))
        if self._served is not None:
            given = self._served.evaluated(given)
        with self._fits:
            return original(model, **given)

    def _predict(
        self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any
    ) -> Any:
        """Predictions of any number of rows go with the rows they are of: not cut, and not seen
        outside of the training.
        """
        if self._within is not None:
            return original(model, *arguments, **named)
        eager = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(False)
        try:
            with suspended():
                return original(model, *arguments, **named)
        finally:
            tf.config.run_functions_eagerly(eager)

    def _layer(
        self, original: Callable[..., Any], layer: Any, *arguments: Any, **named: Any
    ) -> Any:
        trained = self._within is not None and isinstance(layer, keras.layers.Layer)
        if isinstance(layer, keras.Model) and self._layers.outermost:
            if self._in_earlier:
                self._inherited.note(layer)
            elif trained and self._fits.outermost:
                self._inherited.begin(layer)
            if trained and all(layer is not known for known in self._trained):
                self._trained.append(layer)
        if self._start is not None and trained and self._layers.outermost:
            self._start.start(layer, first_of(layer, arguments, named))
        with self._layers:
            outputs = original(layer, *arguments, **named)
        if isinstance(layer, keras.Model) and self._layers.outermost and self._in_earlier:
            self._inherited.note(layer)  # it may have made its weights only now
        return outputs

    def _gradient(self, original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if self._other is not None:
            self._loops.note_step()
        return original(*arguments, **named)

    def _apply(
        self, original: Callable[..., Any], optimizer: Any, *arguments: Any, **named: Any
    ) -> Any:
        if self._in_earlier:
            self._inherited.note_optimizer(optimizer)
        return original(optimizer, *arguments, **named)

    def _enter(self, entry: Entry, arrays: Any) -> Any:
        return arrays if self._served is None else self._served.arrays(entry, arrays)
