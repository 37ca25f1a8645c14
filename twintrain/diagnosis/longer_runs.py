"""Longer runs of both sides, as they are: in graphs, on little data, unshuffled.

They show what a few dozen steps of plain Python cannot: what is frozen in a graph, when a side
stops and which weights it keeps, and whether the sides go on alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import keras

from twintrain.diagnosis.budget import Budget
from twintrain.diagnosis.replay.early_stopping import EPOCHS
from twintrain.diagnosis.replay.model_calls import compute_dtype
from twintrain.diagnosis.replay.parting import Parting, compared_epochs, parting
from twintrain.diagnosis.replay.tolerances import NUDGE_OF_FORWARD, forward_tolerance
from twintrain.diagnosis.stages.graph_mode import GraphReading, read_graph
from twintrain.diagnosis.stages.late_parting import LateRuns
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import FIT, LOOP, SIDES
from twintrain.diagnosis.watch.user_module import Manner, Subject, UserCodeError

# Rows of the longer runs.
FEW_ROWS, FEW_TEST_ROWS = 128, 64
# Epochs where the code needs more rows than these, or where the model is large.
SHORT = 2
# Epochs at most where early stopping shows only later, and numbers that are kept of them.
FURTHER = 200
MOST_NUMBERS = 2 * 10**7
# Epochs of plain Python, where the sides do not part later.
PLAIN = 6
# Parameters from which a model takes too long for `EPOCHS` epochs of plain Python.
LARGE = 2_000_000
# Runs that may be asked for, for the time each is given.
_RUNS = 8


@dataclass
class Long:
    """Runs of both sides over some epochs.

    Attributes:
        subject: on the data they were made with.
        epochs: handed to them.
        graphs: per side, as it is.
        readings: per side, held against plain Python; empty where that was left out.
        apart: where the sides part; None where they do not.
        plain: epochs of the readings.
        test: what they evaluate on; its targets are dealt out anew, so that a validation loss soon
            rises.
    """

    subject: Subject
    epochs: int
    graphs: dict[str, Milestones]
    test: Rows | None
    cut_short: bool = False
    readings: dict[str, GraphReading] = field(default_factory=dict)
    apart: Parting | None = None
    plain: int = 0

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-len(self.subject.train) // self.subject.train.batch)

    @property
    def frozen(self) -> frozenset[str]:
        """Sides whose graphs go on with Python values that have changed."""
        return frozenset(side for side, reading in self.readings.items() if reading.explained)


def run_longer(subject: Subject, budget: Budget) -> Long | None:
    """Run both sides on little data for many epochs, or where that fails on all of it for two.

    Returns:
        None where a side does not come to its end in time.

    Raises:
        UserCodeError: a side raises as it is, on the data as it is.
    """
    test = subject.test.shortened(FEW_TEST_ROWS, shuffled_targets=True) if subject.test else None
    few = subject.varied(subject.train.shortened(FEW_ROWS, shuffled_targets=False), test)
    most = subject.most_epochs or EPOCHS
    attempts = [(few, min(EPOCHS, most)), (subject, min(SHORT, most))]
    for tried, epochs in attempts:
        try:
            found = _run(tried, epochs, budget)
            return found and replace(found, cut_short=tried is not few)
        except UserCodeError as error:
            failure = error
    if subject.cut:
        found = _run(subject.whole(), min(SHORT, most), budget)
        return found and replace(found, cut_short=True)
    raise failure


def _run(subject: Subject, epochs: int, budget: Budget) -> Long | None:
    graphs = {}
    for side in SIDES:
        with budget.phase(f"running {side} as it is for {epochs} epochs"):
            found = subject.run_plain(side, epochs, budget.share(_RUNS))
        if found is None:
            return None
        graphs[side] = found
    return Long(subject, epochs, graphs, subject.test)


def read_graphs(runs: Long, budget: Budget) -> Long:
    """Hold the sides against each other, and each of them against itself as plain Python.

    Plain Python takes many times as long as a graph, so it is run for the first epochs only, unless
    the sides part later. Large models, and sides whose epochs cannot be told apart, are run once
    more for few epochs instead.
    """
    runs = replace(runs, apart=_apart(runs, budget))
    large = any(run.model.count_params() > LARGE for run in runs.graphs.values())
    unseen = any(run.epochs <= 1 for run in runs.graphs.values())
    if (large or unseen) and runs.epochs > SHORT:
        shorter = _run(runs.subject, SHORT, budget)
        if shorter is not None:
            return replace(runs, readings=_readings(shorter, budget, SHORT), plain=SHORT)
    late = runs.apart is not None and runs.apart.epoch > PLAIN
    plain = runs.epochs if late else min(PLAIN, runs.epochs)
    return replace(runs, readings=_readings(runs, budget, plain), plain=plain)


def _readings(runs: Long, budget: Budget, epochs: int) -> dict[str, GraphReading]:
    def run(side: str, manner: Manner) -> Milestones | None:
        with budget.phase(f"running {side} as plain Python"):
            return runs.subject.run_plain(side, runs.epochs, budget.share(_RUNS), manner)

    most = epochs if epochs < runs.epochs else 0
    found = {}
    for side, graph in runs.graphs.items():
        found[side] = read_graph(side, graph, run, _nudge(graph.model), most)
    return found


def only_on_little_data(runs: Long, subject: Subject, budget: Budget) -> bool:
    """Whether the sides part because there is little data: a loop may count its steps by itself.

    Args:
        runs: of both sides, on little data.
        subject: the same on the data as it is held.
        budget: of the diagnosis.
    """
    if runs.apart is None or runs.apart.epoch > SHORT or runs.epochs <= SHORT:
        return False
    try:
        again = _run(subject, SHORT, budget)
    except UserCodeError:
        return False
    return again is not None and _apart(again, budget) is None


def _apart(runs: Long, budget: Budget) -> Parting | None:
    fit, loop = runs.graphs[FIT], runs.graphs[LOOP]

    def nudged() -> Milestones | None:
        manner = Manner(nudge=_nudge(loop.model))
        with budget.phase("measuring what rounding grows to"):
            return runs.subject.run_plain(LOOP, runs.epochs, budget.share(_RUNS), manner)

    return parting(fit, loop, nudged)


def run_further(runs: Long, budget: Budget) -> Long | None:
    """Both sides for as many epochs as the code trains, up to `FURTHER`; None where these are no
    more than there were, do not come to their end, or are too much to keep.
    """
    epochs = min(FURTHER, runs.subject.most_epochs or FURTHER)
    numbers = max(run.model.count_params() for run in runs.graphs.values())
    if epochs <= runs.epochs or numbers * epochs > MOST_NUMBERS:
        return None
    try:
        return _run(runs.subject, epochs, budget)
    except UserCodeError:
        return None


def run_on_noise(runs: Long, budget: Budget) -> Long | None:
    """Both sides again with the training rows' targets dealt out anew: what they learn of these
    makes any validation worse, also on rows that only the code itself knows. None where they do not
    come to their end.
    """
    train = runs.subject.train.shortened(len(runs.subject.train), shuffled_targets=True)
    try:
        return _run(runs.subject.varied(train, runs.test), runs.epochs, budget)
    except UserCodeError:
        return None


def late_runs(runs: Long, data: Rows) -> LateRuns | None:
    """What is read of the epoch the sides part in; None where they do not.

    Args:
        runs: of both sides.
        data: what they were watched on.
    """
    if runs.apart is None:
        return None
    shortened = data.cut or len(runs.subject.train) < len(data)
    return LateRuns(runs.graphs, runs.apart, runs.test, shortened)


def run_on_other_rows(runs: Long, side: str, budget: Budget) -> Milestones | None:
    """One side's longer run with its training rows in another order and other test targets, so
    that every figure it could stop by is another.
    """
    moved, _ = runs.subject.train.reordered()
    test = runs.test.shortened(FEW_TEST_ROWS, shuffled_targets=True) if runs.test else None
    subject = runs.subject.varied(moved, test)
    with budget.phase(f"running {side} on other rows"):
        try:
            return subject.run_plain(side, runs.epochs, budget.share(_RUNS))
        except UserCodeError:
            return None


def said_epochs(runs: Long) -> str:
    """After which epochs the weights of the two sides were compared."""
    found = compared_epochs(runs.graphs[FIT], runs.graphs[LOOP])
    return f"the end of {runs.epochs} epochs" if found == 1 else f"{runs.epochs} epochs"


def epochs_alike(runs: Long) -> int:
    """After how many epochs the weights of the two sides are the same; 0 where they part."""
    return 0 if runs.apart else compared_epochs(runs.graphs[FIT], runs.graphs[LOOP])


def _nudge(model: keras.Model) -> float:
    return NUDGE_OF_FORWARD * forward_tolerance(compute_dtype(model)).rel
