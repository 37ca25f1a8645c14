"""A first look at a program that runs: what it trains, where, and on which rows.

Every training is stopped after a few steps, so that what follows it is seen too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from twintrain.diagnosis.scripts.entries import Entries, Entry, rows_of
from twintrain.diagnosis.scripts.frames import place_in
from twintrain.diagnosis.scripts.loop_marks import Key
from twintrain.diagnosis.scripts.loops import Loops, Pass
from twintrain.diagnosis.scripts.program import Finished, Program
from twintrain.diagnosis.scripts.put_aside import Aside
from twintrain.diagnosis.scripts.tiny_fit import batch_of, first_batch, given_to, tiny_fit
from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.eager_functions import functions_as_python
from twintrain.diagnosis.watch.frozen_rows import keys_of
from twintrain.diagnosis.watch.process_state import alarm
from twintrain.diagnosis.watch.recording import Enough
from twintrain.diagnosis.watch.seams import Nesting, identity, is_concrete, owner_of, wrapped
from twintrain.diagnosis.watch.trace import first_of, rows_in

# Items of a loop that trains: enough to tell a loop over epochs from one over batches.
BATCHES, EPOCHS = 3, 2
# Items of a loop that trains for several epochs in each: it is gone through, if it has no more.
MOST_PHASES = 6
# Seconds after which a first look ends with what it has seen: from the start, and from when a
# training was seen last.
LOOKING_SECONDS, NOTHING_NEW_SECONDS = 240.0, 45.0
# Rows of a batch that it is recognised by.
_KEPT_KEYS = 64
# Arguments of `fit` and `evaluate` that may be arrays.
_DATA = {"x", "y", "sample_weight", "validation_data"}


@dataclass
class FitSeen:
    """One call of `fit`.

    Attributes:
        place: file and line.
        ordinal: which call from there, from 1.
        model: trained by it.
        given: its arguments by name.
        own_step: the model's class has a `train_step` of its own.
        chain: the loops it stands in, outermost first.
        feeds: where its rows entered.
        held_out: where its validation rows entered.
        batch: rows in a batch.
    """

    place: Key
    ordinal: int
    model: keras.Model
    given: dict[str, Any]
    own_step: bool
    chain: list[Pass]
    feeds: frozenset[Entry]
    held_out: frozenset[Entry]
    batch: int


@dataclass
class StepSeen:
    """One training step outside of `fit`.

    Attributes:
        place: file and line of the call that took the gradient.
        models: whose variables it is of, in the order in which they were called.
        chain: the loops it stands in, outermost first, and the item that each is at.
        feeds: where the rows pulled last had entered.
        rows: in the batch.
        digest: of the batch.
        keys: what its first rows are recognised by.
    """

    place: Key
    models: list[keras.Model]
    chain: list[tuple[Pass, int]]
    feeds: frozenset[Entry]
    rows: int
    digest: bytes
    keys: frozenset[bytes] = frozenset()


@dataclass
class Seen:
    """All of it.

    Attributes:
        fits, steps: in order.
        arrays: what entered where.
        evaluated: arguments of the calls of `evaluate`.
        untracked: steps of variables that no Keras model has.
        timed_out: the look was ended before the program did.
        failure: what the program raised.
    """

    fits: list[FitSeen] = field(default_factory=list)
    steps: list[StepSeen] = field(default_factory=list)
    arrays: dict[Entry, Any] = field(default_factory=dict)
    evaluated: list[dict[str, Any]] = field(default_factory=list)
    untracked: int = 0
    timed_out: bool = False
    failure: Exception | None = None

    def put_aside(self) -> None:
        """Let go of the memory that large arrays take."""
        aside = Aside()
        self.arrays = {entry: aside.put(arrays) for entry, arrays in self.arrays.items()}
        for given in (*(fit.given for fit in self.fits), *self.evaluated):
            for name in _DATA & given.keys():
                given[name] = aside.put(given[name])


class Lookout:
    """Runs a program once, and notes what it trains.

    Args:
        program: to be run.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._seen = Seen()
        self._loops = Loops(self._may_go_on, left=self._left_loop)
        self._entries = Entries(program.folder, self._enter)
        self._layers, self._fits, self._on_batch = Nesting(), Nesting(), Nesting()
        # Since a gradient was taken last; of a tape that persists there may be several.
        self._called: list[tuple[keras.Model, Any]] = []
        self._taken = False
        self._counts: dict[Key, int] = {}
        self._timer = Timer(LOOKING_SECONDS)

    def look(self) -> Seen:
        """Run it.

        What the program raises is kept in `failure`: after its trainings it may be because these
        were cut short.
        """
        try:
            # A loop that is not marked, or none, may not come back either.
            with self._on(), functions_as_python(), alarm(LOOKING_SECONDS):
                self._program.run(self._loops)
        except Enough:
            self._seen.timed_out = True
        except Exception as error:
            self._seen.failure = error
        finally:
            self._loops.close()
        self._seen.put_aside()
        return self._seen

    @contextmanager
    def _on(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(self._entries.on())
            for owner, method, seam in self._seams():
                stack.enter_context(wrapped(owner, method, seam, always=True))
            yield

    def _seams(self) -> list[tuple[type, str, Callable[..., Any]]]:
        model = keras.Model
        return [
            (owner_of(model, "fit"), "fit", self._fit),
            (owner_of(model, "evaluate"), "evaluate", self._evaluate),
            (owner_of(model, "train_on_batch"), "train_on_batch", self._train_on_batch),
            (keras.layers.Layer, "__call__", self._layer),
            (tf.GradientTape, "gradient", self._gradient),
        ]

    def _may_go_on(self, run: Pass) -> bool:
        if self._timer.over:
            self._seen.timed_out = True
            raise Finished
        if run.phases and run.own is not None and run.own <= MOST_PHASES:
            return True
        return run.trained_so_far < (BATCHES if run.direct else EPOCHS)

    def _left_loop(self, run: Pass) -> None:
        """A loop over epochs came to its end, or was ended, within another one. Of more loops
        around each other, the outer one goes through epochs.
        """
        around = [other for other in self._loops.chain if other is not run]
        if len(around) == 1 and run.trained > 1 and not run.direct:
            around[0].phases = True

    def _note_progress(self) -> None:
        """Another training was seen."""
        self._timer = Timer(NOTHING_NEW_SECONDS)

    def _enter(self, entry: Entry, arrays: Any) -> Any:
        self._seen.arrays[entry] = arrays
        return arrays

    def _fit(self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any) -> Any:
        given = given_to(original, model, arguments, named)
        place = place_in(self._program.folder)
        self._counts[place] = self._counts.get(place, 0) + 1
        chain = self._loops.note_step()
        if len(chain) == 1 and int(given.get("epochs", 1)) > 1:
            chain[0].phases = True
        seen = FitSeen(
            place,
            self._counts[place],
            model,
            given,
            type(model).train_step is not keras.Model.train_step,
            chain,
            self._behind(given.get("x")),
            self._behind(given.get("validation_data")),
            batch_of(given),
        )
        self._seen.fits.append(seen)
        with self._fits:
            history = tiny_fit(original, model, given)
        self._note_progress()
        return history

    def _behind(self, data: Any) -> frozenset[Entry]:
        return self._entries.behind(data) if isinstance(data, tf.data.Dataset) else frozenset()

    def _evaluate(
        self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any
    ) -> Any:
        given = given_to(original, model, arguments, named)
        if not self._fits.outermost:
            return original(model, *arguments, **named)
        self._seen.evaluated.append(given)
        with self._fits:
            return original(model, **first_batch(given))

    def _train_on_batch(
        self, original: Callable[..., Any], model: Any, x: Any, *arguments: Any, **named: Any
    ) -> Any:
        self._note([model], x)
        with self._on_batch:
            return original(model, x, *arguments, **named)

    def _layer(
        self, original: Callable[..., Any], layer: Any, *arguments: Any, **named: Any
    ) -> Any:
        if self._layers.outermost and self._fits.outermost and isinstance(layer, keras.Model):
            inputs = first_of(layer, arguments, named)
            if all(map(is_concrete, keras.tree.flatten(inputs))):
                if self._taken:
                    self._called, self._taken = [], False
                self._called = [c for c in self._called if c[0] is not layer][-7:]
                self._called.append((layer, inputs))
        with self._layers:
            return original(layer, *arguments, **named)

    def _gradient(
        self,
        original: Callable[..., Any],
        tape: Any,
        target: Any,
        sources: Any,
        *arguments: Any,
        **named: Any,
    ) -> Any:
        if self._fits.outermost and self._on_batch.outermost and tf.executing_eagerly():
            self._note_gradient({identity(source) for source in keras.tree.flatten(sources)})
        return original(tape, target, sources, *arguments, **named)

    def _note_gradient(self, sources: set[int]) -> None:
        asked = [
            (model, inputs)
            for model, inputs in self._called
            if any(identity(variable) in sources for variable in model.trainable_variables)
        ]
        if asked:
            self._taken = True
            self._note([model for model, _ in asked], asked[0][1])
        else:
            self._seen.untracked += 1

    def _note(self, models: list[keras.Model], inputs: Any) -> None:
        self._note_progress()
        chain, keys = self._loops.note_step(), keys_of(inputs)[:_KEPT_KEYS]
        self._seen.steps.append(
            StepSeen(
                place_in(self._program.folder),
                models,
                [(run, run.items) for run in chain],
                self._entries.pulled,
                rows_in(inputs) if not isinstance(inputs, list) else rows_of(inputs) or 0,
                b"".join(keys),
                frozenset(keys),
            )
        )
