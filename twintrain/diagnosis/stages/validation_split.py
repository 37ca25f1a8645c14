"""Stage 'batch contents': which training rows each side trains on, and which it holds back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twintrain.diagnosis.replay.batch_matching import read_stream
from twintrain.diagnosis.replay.row_sets import RowCounter, is_consecutive
from twintrain.diagnosis.replay.tolerances import RECOGNISED, UNREPRESENTATIVE
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import FIT, LOOP, Evaluation


@dataclass
class Split:
    """How one side divides the training rows. Each array counts rows as a `RowCounter` does.

    Attributes:
        counter: of the training rows.
        trained: in the first and in the second epoch.
        evaluated: training rows evaluated after the first epoch, each once.
        on_test: it evaluates on other rows too.
        batch: most rows in a batch.
    """

    counter: RowCounter
    trained: tuple[np.ndarray, np.ndarray]
    evaluated: np.ndarray
    on_test: bool
    batch: int

    @property
    def fixed(self) -> bool:
        """The same rows in both epochs."""
        return np.array_equal(*self.trained)

    @property
    def held(self) -> np.ndarray:
        """Rows that are evaluated and never trained on."""
        return np.minimum(self.evaluated, np.maximum(self.counter.capacity - self._ever, 0))

    @property
    def shared(self) -> int:
        """How many rows are both trained on and evaluated."""
        # A row may be trained on more often than it is in the data, and be evaluated not at all.
        both = np.maximum(self.evaluated + self._ever - self.counter.capacity, 0)
        return int(np.minimum(self.evaluated, both).sum())

    @property
    def holds_back(self) -> bool:
        """Some training rows are for evaluation only."""
        return bool(self.held.any()) and self.shared == 0

    @property
    def redrawn(self) -> bool:
        """Each pass divides the rows anew: what is evaluated was trained on before."""
        together = int(self.trained[0].sum() + self.evaluated.sum())
        left_over = int(self.counter.capacity.sum()) - together
        return self.shared > 0 and not self.fixed and 0 <= left_over < self.batch

    @property
    def given(self) -> np.ndarray:
        """Rows that there are to train on: all but those held back, where all of the others are
        trained on, up to a last batch that is dropped.
        """
        if not self.holds_back:
            return self._ever
        others = self.counter.capacity - self.held
        dropped = int(others.sum() - self.trained[0].sum())
        return others if 0 <= dropped < self.batch else self._ever

    @property
    def _ever(self) -> np.ndarray:
        return np.maximum(*self.trained)


def split_of(pair: Pair, side: Side) -> Split | None:
    """How a side divides the training rows; None where they were not recognised."""
    rows = side.stream.rows
    if not rows or (np.concatenate(rows) < 0).any():
        return None
    counter = RowCounter(pair.subject.train)
    end = side.first_epoch
    # Of a training of one epoch there is no second one.
    trained = counter.count(rows[:end]), counter.count(rows[end:] or rows[:end])
    first = [e for e in side.trace.evaluations if e.position == end]
    read = [_training_rows(pair, evaluation) for evaluation in first]
    evaluated = counter.count([found for found in read if found is not None])
    return Split(
        counter,
        trained,
        np.minimum(evaluated, counter.capacity),
        any(found is None for found in read),
        max(side.stream.sizes),
    )


def _training_rows(pair: Pair, evaluation: Evaluation) -> np.ndarray | None:
    """The training rows that were evaluated; None where they are others."""
    (rows,) = read_stream([evaluation], pair.subject.train, 1).rows
    return rows if (rows >= 0).mean() > RECOGNISED else None


def held_rows(pair: Pair, side: Side) -> Rows | None:
    """The training rows that a side evaluates after an epoch; None where it evaluates others."""
    split = split_of(pair, side)
    if split is None or split.on_test or not split.holds_back:
        return None
    return pair.subject.train.chosen(split.counter.places(split.evaluated))


def rows_to_train_on(pair: Pair) -> dict[str, int]:
    """Per side, how many rows an epoch of it should have: those it does not hold back."""
    splits = {side.name: split_of(pair, side) for side in pair.sides}
    holding = [split for split in splits.values() if split is not None and split.holds_back]
    # Without another split, both have the same rows; a side may train on a part of them.
    most = max((int(split.given.sum()) for split in holding), default=len(pair.subject.train))
    found = {}
    for name, split in splits.items():
        if split is None:
            found[name] = len(pair.subject.train)
        elif not pair.findings.has("validation_split_differs"):
            found[name] = most
        else:
            found[name] = int((split.given if split.holds_back else split.counter.capacity).sum())
    return found


def train_on_other_rows(pair: Pair) -> bool:
    """Whether the sides have other rows to train on, or other numbers of them in an epoch.

    On data that was cut, numbers of rows that stand in the code may be all there is to it.
    """
    fit, loop = (split_of(pair, side) for side in pair.sides)
    if fit is None or loop is None or not pair.complete:
        return False
    return _differ(fit, loop) or fit.trained[0].sum() != loop.trained[0].sum()


def hold_the_same_back(pair: Pair) -> bool:
    """Whether both sides evaluate the same training rows that they do not train on, and maybe
    others.
    """
    fit, loop = (split_of(pair, side) for side in pair.sides)
    if fit is None or loop is None:
        return False
    return bool(fit.held.any()) and np.array_equal(fit.held, loop.held)


@looks_for("validation_split_differs")
def check_split(pair: Pair) -> bool:
    """Compare which rows are there to train on, whatever their order and number in an epoch."""
    if not pair.complete:
        return False
    fit, loop = (split_of(pair, side) for side in pair.sides)
    if fit is None or loop is None:
        return False
    splits = {FIT: fit, LOOP: loop}
    if fit.redrawn != loop.redrawn:
        _name_redrawn(pair, FIT if fit.redrawn else LOOP, splits)
    elif _differ(fit, loop):
        _name(pair, _at_fault(splits), splits)
    return True


def _differ(fit: Split, loop: Split) -> bool:
    if fit.holds_back and loop.holds_back:
        same = np.array_equal(fit.held, loop.held) or np.array_equal(fit.given, loop.given)
        return not same
    if fit.holds_back or loop.holds_back:
        holding, other = (fit, loop) if fit.holds_back else (loop, fit)
        # A part of the rows that the other has to train on is an epoch cut short.
        return bool((other.given > holding.given).any())
    apart = bool((fit.given > loop.given).any() and (loop.given > fit.given).any())
    return apart and fit.fixed and loop.fixed and not (_drops(fit) and _drops(loop))


def _drops(split: Split) -> bool:
    """Whether only a last partial batch is missing."""
    missing = int(split.counter.capacity.sum() - split.trained[0].sum())
    return 0 < missing < split.batch


def _at_fault(splits: dict[str, Split]) -> str:
    """The side that departs from the data as given.

    One that evaluates on rows it trains on, where the other holds them back; or that holds rows
    back, where the other trains on all. Of two that hold rows back the one that takes a piece of
    the data, or whose labels are farther from those of all rows. The loop where neither does: `fit`
    is what it is held against.
    """
    holding = [name for name, split in splits.items() if split.holds_back]
    if len(holding) == 1:
        other = LOOP if holding == [FIT] else FIT
        seen = splits[other].shared > 0 and not splits[other].on_test
        return other if seen else holding[0]
    pieces = [name for name, split in splits.items() if _takes_a_piece(split)]
    if len(pieces) == 1:
        return pieces[0]
    uneven = {name: split.counter.unevenness(split.given) for name, split in splits.items()}
    return FIT if uneven[FIT] > uneven[LOOP] + UNREPRESENTATIVE else LOOP


def _takes_a_piece(split: Split) -> bool:
    left_out = split.counter.places(split.counter.capacity - split.given)
    return is_consecutive(left_out)


def _name(pair: Pair, at_fault: str, splits: dict[str, Split]) -> None:
    own, other = splits[at_fault], splits[pair.other(at_fault).name]
    counter = own.counter
    evidence = [
        by_reading("rows trained on", counter.say(own.given), counter.say(other.given)),
    ]
    if own.evaluated.any():
        expected = _say_evaluated(other)
        evidence.append(by_reading("rows evaluated", counter.say(own.evaluated), expected))
    pair.findings.name_cause(
        "validation_split_differs", at_fault, 0, *evidence, fix=_fix(pair, at_fault, own)
    )


def _say_evaluated(split: Split) -> str:
    if split.evaluated.any():
        return split.counter.say(split.evaluated)
    return "other rows than those of the training data" if split.on_test else "none"


def _name_redrawn(pair: Pair, at_fault: str, splits: dict[str, Split]) -> None:
    own, other = splits[at_fault], splits[pair.other(at_fault).name]
    evidence = by_reading(
        "rows that were evaluated and had been trained on",
        f"{own.shared:,} of {int(own.evaluated.sum()):,}: each pass draws another split",
        other.shared if other.redrawn else 0,
    )
    pair.findings.name_cause(
        "validation_split_differs",
        at_fault,
        0,
        evidence,
        fix="Split before shuffling: take() and skip() of a data set that is shuffled anew in "
        "every pass give other rows each time. Or shuffle(..., reshuffle_each_iteration=False).",
    )


def _fix(pair: Pair, at_fault: str, split: Split) -> str:
    """What to do, in figures of the data."""
    counter = split.counter
    rows = int(counter.capacity.sum())
    left_out = counter.places(counter.capacity - split.given)
    advice = (
        f"Split once, by rows drawn at random (np.random.default_rng(0).permutation({rows})), and "
        "give both sides the same two parts."
    )
    if not len(left_out):
        return f"{at_fault} trains on all rows, also on those it evaluates. {advice}"
    if not _takes_a_piece(split):
        return f"{at_fault} draws {rows - len(left_out):,} of {rows:,} rows of its own. {advice}"
    given = next((call.arguments.get("validation_split") for call in pair.fit.trace.fits), None)
    how = f"validation_split={given:g}" if given and at_fault == FIT else at_fault
    missing = counter.missing_labels(split.given)
    never = f", so label {', '.join(map(str, missing))} is never trained on" if missing else ""
    return (
        f"{how} leaves out rows {left_out[0]}-{left_out[-1]} as they stand in the data, before "
        f"anything is shuffled{never}. {advice}"
    )


CHECKS = (check_split,)
