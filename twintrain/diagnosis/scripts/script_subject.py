"""Trainings of scripts as the two sides of a diagnosis."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.scripts.entries import as_arrays, taken
from twintrain.diagnosis.scripts.inherited import Inherited, TakenOver
from twintrain.diagnosis.scripts.lookout import Seen
from twintrain.diagnosis.scripts.made_side import MadeSide
from twintrain.diagnosis.scripts.program import Program
from twintrain.diagnosis.scripts.same_start import SameStart
from twintrain.diagnosis.scripts.script_rows import (
    Feed,
    held_out_data,
    rows_from_arrays,
    rows_from_steps,
    served,
    shell,
)
from twintrain.diagnosis.scripts.study import InPlaceOfFit, Study
from twintrain.diagnosis.scripts.trainings import Training
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import MOST_BATCHES, MOST_ROWS, Rows, hold, keys_of
from twintrain.diagnosis.watch.process_state import as_found
from twintrain.diagnosis.watch.stillness import still
from twintrain.diagnosis.watch.trace import FIT, LOOP, Trace
from twintrain.diagnosis.watch.user_module import (
    Subject,
    UserCodeError,
    seed_all,
    user_traceback,
)
from twintrain.errors import TwintrainError

# Of a run by which rows are read: steps kept in full, steps, seconds.
CLOSE, MOST_STEPS, SECONDS = 12, 10_000, 120.0
# What `fit` may be given in batches: split, argument, and the one that tells how many.
_BATCHED = (
    ("train", "x", "steps_per_epoch"),
    ("test", "validation_data", "validation_steps"),
)


@dataclass(frozen=True)
class Part:
    """One side: a training of a program.

    Attributes:
        program: it stands in.
        training: it.
        others: the other trainings of that program.
        seen: all that was seen of it at first.
        earlier: of the others those that are earlier phases of this one.
        left_out: of the others those of models that the other side has none like.
    """

    program: Program
    training: Training
    others: Sequence[Training]
    seen: Seen
    earlier: Sequence[Training] = ()
    left_out: Sequence[Training] = ()

    def study(
        self,
        epochs: int,
        rows: tuple[Feed, Rows, Rows | None],
        start: SameStart | None,
        began: Callable[[], None] = lambda: None,
        in_place: InPlaceOfFit | None = None,
        look_after: bool = True,
        epoch_ended: Callable[[bool], None] = lambda last: None,
        inherited: Inherited | None = None,
    ) -> Study:
        """A run of the program for the sake of this training."""
        feed, train, test = rows
        return Study(
            self.program,
            self.training,
            self.others,
            epochs,
            -(-len(train) // max(1, self.training.batch)),
            served(feed, train, test),
            start,
            began,
            in_place,
            look_after,
            epoch_ended,
            inherited,
        )


@dataclass
class ScriptSubject(Subject):
    """The two sides of a diagnosis, from one script or two.

    Attributes:
        parts: by side.
        feed: how rows are replaced.
        made: the side that is in no script; None where both are.
        not_handed: sides whose models could not be given the same weights.
        inherited: by side, what the training took over from those before it, when it was run last.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    feed: Feed = field(default_factory=lambda: Feed({}, None, False))
    made: MadeSide | None = None
    not_handed: set[str] = field(default_factory=set)
    inherited: dict[str, TakenOver] = field(default_factory=dict)
    _begun: bool = field(default=False, init=False, repr=False)

    @property
    def unasked(self) -> frozenset[str]:
        """Sides that go once through a loop whose end is its own."""
        return frozenset(
            side
            for side, part in self.parts.items()
            if any(section.repeats == "once" for section in part.training.sections)
        )

    @property
    def cut(self) -> bool:
        """Whether not all of the data is used."""
        return self.feed.replaceable and super().cut

    def whole(self) -> Subject:
        """The same on all of the data."""
        feed = replace(self.feed, replaceable=False, why_not="numbers of rows may stand in it")
        feed, train, test = read_rows(self.parts, feed)
        return replace(self, feed=feed, train=train, test=test)

    def varied(self, train: Rows, test: Rows | None) -> Subject:
        """The same on other rows, where rows can be replaced; else the same on the same ones."""
        return replace(self, train=train, test=test) if self.feed.replaceable else self

    def own_test(self) -> Rows | None:
        """All rows that are held out: a loop that calls its model on arrays evaluates on these,
        whatever rows `fit` is given.
        """
        if self.made is not None or self.test is None:
            return None
        if not self.test.cut:
            return self.test
        try:
            return self.whole().test
        except (TwintrainError, UserCodeError):
            return None

    def _train(self, side: str, model: keras.Model, epochs: int, seed: int) -> Any:
        if self.made is not None and side == self.made.side:
            (part,) = self.parts.values()
            self._begin(seed)
            return self.made.train(model, self.train, self.test, epochs, part.program.folder)
        part = self.parts[side]
        # Data that is drawn by the script is the same in each run; what its training draws is not.
        seed_all()
        start = SameStart(model, len(part.training.models) > 1, self._adopt)
        begin = lambda: self._begin(seed)  # noqa: E731
        rows = self.feed, self.train, self.test
        watching = self._watching
        ended = watching.end_epoch if isinstance(watching, Milestones) else lambda last: None
        inherited = Inherited(
            frozenset((s.place, s.ordinal) for t in part.earlier for s in t.sections),
            part.training.shapes,
        )
        study = part.study(
            epochs,
            rows,
            start,
            begin,
            look_after=not self._validates,
            epoch_ended=ended,
            inherited=inherited,
        )
        study.run()
        self.inherited[side] = inherited.closed()
        if not start.handed_over:
            self.not_handed.add(side)
        return study.log

    @property
    def _validates(self) -> bool:
        """Whether `fit` evaluates after each epoch; then a test in the end is another thing."""
        calls = [part.training.fit for part in self.parts.values() if part.training.fit is not None]
        names = ("validation_data", "validation_split")
        given = [call.given.get(name) for call in calls[:1] for name in names]
        return any(value is not None and value is not False for value in given)

    def _begin(self, seed: int) -> None:
        """The training begins."""
        self._begun = True
        if self._watching is not None:
            self._watching.begin()
        seed_all(seed + 1)

    def _adopt(self, model: keras.Model) -> None:
        if self._watching is not None:
            self._watching.adopt(model)

    def _prepare(self, stack: ExitStack, unshuffled: bool) -> None:
        stack.enter_context(as_found())
        if unshuffled:
            self._begun = False
            stack.enter_context(still({}, lambda: not self._begun))


def build_with(model: keras.Model) -> Callable[[], keras.Model]:
    """What stands for `build_model`: the model that was seen, with the weights it had."""
    values = [tf.identity(tf.convert_to_tensor(v)) for v in model.variables]

    def build() -> keras.Model:
        for variable, value in zip(model.variables, values, strict=False):
            variable.assign(value)
        return model

    return build


def read_rows(parts: dict[str, Part], feed: Feed) -> tuple[Feed, Rows, Rows | None]:
    """Read the rows of both splits.

    Returns:
        Also how they can be replaced, which shows only now.

    Raises:
        UserCodeError: the script raised.
        TwintrainError: its data cannot be used.
    """
    part = parts.get(FIT) or parts[LOOP]
    training = part.training
    held = held_out_data([(p.training, p.seen) for p in parts.values()])
    given = training.fit.given if training.fit is not None else {}
    x = given.get("x")
    batched = isinstance(x, (tf.data.Dataset, keras.utils.PyDataset, Iterator))
    if training.fit is not None and not batched:
        extra = [given[n] for n in ("y", "sample_weight") if given.get(n) is not None]
        train = rows_from_arrays((x, *extra), training.batch, not feed.replaceable)
        return feed, train, _test_rows(held, training.batch, not feed.replaceable)
    return _by_running(part, feed, held)


def _test_rows(held: Any, batch: int, whole: bool) -> Rows | None:
    if held is None:
        return None
    if isinstance(held, (tuple, list)):
        return rows_from_arrays(tuple(held), batch, whole)
    if isinstance(held, tf.data.Dataset):
        return hold(lambda split: held, "test")
    return None


def watch_alone(subject: ScriptSubject, side: str, epochs: int = 1) -> Trace:
    """One side of a subject, with nothing shuffled."""
    return subject.run(side, epochs, CLOSE, MOST_STEPS, SECONDS, unshuffled=True)


def _by_running(part: Part, feed: Feed, held: Any) -> tuple[Feed, Rows, Rows | None]:
    """Read them by running the program with nothing shuffled up to where `fit` would begin, or the
    loop for one epoch.
    """
    batch = max(1, part.training.batch)
    total = feed.total or batch
    whole = not feed.replaceable
    expected = shell(total, batch, whole)
    test = rows_from_arrays(tuple(held), batch, whole) if isinstance(held, (tuple, list)) else None
    most = MOST_ROWS if whole else None
    found: dict[str, Rows] = {}

    def read(model: keras.Model, given: dict[str, Any]) -> None:
        for split, name, counted in _BATCHED:
            steps = given.get(counted)
            data = given.get(name)
            if isinstance(data, keras.utils.PyDataset):
                data = _dataset(data[index] for index in range(len(data)))
            elif isinstance(data, Iterator):
                with still({}):  # it may draw the order of its rows as it goes
                    data = _dataset(_one_pass(data, int(steps or MOST_BATCHES)))
            if isinstance(data, tf.data.Dataset):
                if data.cardinality() == tf.data.INFINITE_CARDINALITY:
                    data = data.take(int(steps or 1))
                found[split] = hold(functools.partial(_given, data), split, most)

    subject = ScriptSubject({}, {}, expected, test, parts={part.training.side: part}, feed=feed)
    if part.training.fit is not None:
        seed_all()
        try:
            with as_found(), still({}, lambda: True):
                part.study(1, (feed, expected, test), None, in_place=read).run()
        except Exception as error:
            raise UserCodeError(part.program.name, user_traceback(error)) from None
    else:
        subject.functions["build_model"] = build_with(part.training.model)
        trace = watch_alone(subject, LOOP)
        found["train"] = rows_from_steps(trace.steps, batch, feed.total)
    if "train" not in found:
        raise TwintrainError(
            f"The rows that {part.training.describe()} trains on could not be read.",
            "Give it arrays, a tf.data.Dataset, a PyDataset, or a generator of batches.",
        )
    train = _as_it_enters(found["train"], expected, part)
    if train is None:
        why = "its data set yields another number of rows than enter it"
        return (
            replace(feed, replaceable=False, why_not=why),
            found["train"],
            found.get("test", test),
        )
    return feed, train, found.get("test", test)


def _as_it_enters(fed: Rows, expected: Rows, part: Part) -> Rows | None:
    """The rows as they enter, where what is fed is of the same shape: so it shows what a side makes
    of them, and how many it leaves out. Else the rows that are fed; None where these are not as
    many as enter.
    """
    entered = [part.seen.arrays[entry] for entry in part.training.feeds]
    if len(entered) == 1 and isinstance(entered[0], tuple):
        element = as_arrays(taken(entered[0], np.arange(len(expected))))
        if _kinds(element) == _kinds(fed.element):
            return replace(expected, element=element, keys=keys_of(element[0]), fixed=fed.fixed)
    if len(fed) != len(expected):
        return None
    return replace(expected, element=fed.element, keys=fed.keys, fixed=fed.fixed, batch=fed.batch)


def _kinds(element: Any) -> list[tuple[tuple[int, ...], str]]:
    """Shape of a row and kind of number, for each array."""
    arrays = [np.asarray(array) for array in keras.tree.flatten(element)]
    return [(array.shape[1:], array.dtype.kind) for array in arrays]


def _given(data: tf.data.Dataset, split: str) -> tf.data.Dataset:
    del split
    return data


def _one_pass(generator: Iterator[Any], steps: int) -> list[Any]:
    """The batches of a generator until it begins anew; where it does not, as many as an epoch has.

    Args:
        generator: it may never end; it does not shuffle.
        steps: in an epoch of `fit`, which need not be a pass.
    """
    batches: list[Any] = []
    for batch in itertools.islice(generator, max(2 * steps, MOST_BATCHES)):
        first = keras.tree.flatten(batch)[0]
        if batches and np.array_equal(first, keras.tree.flatten(batches[0])[0]):
            return batches
        batches.append(batch)
    return batches[:steps]


def _dataset(given: Iterable[Any]) -> tf.data.Dataset:
    """Batches of a PyDataset or a generator as a data set."""
    batches = list(given)
    rows = keras.tree.map_structure(lambda *parts: tf.concat(parts, axis=0), *batches)
    size = len(keras.tree.flatten(batches[0])[0])
    return tf.data.Dataset.from_tensor_slices(rows).batch(size)
