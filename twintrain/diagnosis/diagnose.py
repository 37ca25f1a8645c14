"""The whole diagnosis: runs both sides, replays each stage, and names what differs.

    result = diagnose_module(Path("my_training.py"))
    result.verdict, [cause.id for cause in result.causes]

Each side is read by itself: from what it had before a stage, a correct loop's stage is replayed,
and where that does not give what was observed, the same stage with a mistake of the catalogue
planted. A mistake is named only where its replay reproduces the observation to float tolerance, or
where what was read off says it plainly, and the other side does otherwise. Since each stage starts
from what was observed before it, mistakes do not hide one another.
"""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from twintrain.diagnosis.budget import DEADLINE, READING, Budget, Report
from twintrain.diagnosis.longer_runs import (
    Long,
    epochs_alike,
    late_runs,
    only_on_little_data,
    read_graphs,
    run_further,
    run_longer,
    run_on_noise,
    run_on_other_rows,
    said_epochs,
)
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.stages import (
    averaged_weights,
    batches,
    clipping,
    dense_embeddings,
    epochs,
    evaluation,
    forward,
    gradients,
    layer_settings,
    learning_rate,
    left_over,
    loss,
    loss_calls,
    metrics,
    models,
    optimizer_state,
    recurrent_state,
    start,
    targets,
    update,
    validation_split,
)
from twintrain.diagnosis.stages.accumulated import acquit_accumulation
from twintrain.diagnosis.stages.contradicted import acquit_steps
from twintrain.diagnosis.stages.end_of_run import check_ending
from twintrain.diagnosis.stages.graph_mode import check_graphs
from twintrain.diagnosis.stages.late_constraints import check_late_constraints
from twintrain.diagnosis.stages.late_parting import check_late_parting
from twintrain.diagnosis.stages.lockstep_tables import same_order
from twintrain.diagnosis.stages.pair import Pair, Side, read_side
from twintrain.diagnosis.stages.validation_split import train_on_other_rows
from twintrain.diagnosis.verdict import conclude, only_graphs, only_reports, repeat_of
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.process_state import as_found
from twintrain.diagnosis.watch.trace import FIT, LOOP, SIDES, Trace
from twintrain.diagnosis.watch.user_module import (
    Subject,
    UserCodeError,
    load_module,
    subject_of,
)
from twintrain.errors import TwintrainError, shortened

# In the order in which things happen in a step, an epoch and a training.
STAGES = (
    start,
    models,
    epochs,
    validation_split,
    targets,
    batches,
    forward,
    recurrent_state,
    loss,
    layer_settings,
    loss_calls,
    gradients,
    left_over,
    clipping,
    dense_embeddings,
    update,
    optimizer_state,
    learning_rate,
    evaluation,
    metrics,
    averaged_weights,
)
CHECKS: tuple[Callable[[Pair], bool], ...] = tuple(
    check for stage in STAGES for check in stage.CHECKS
)
# Steps from each boundary on that are kept in full, and steps after which a run is stopped.
CLOSE = 12
MOST_STEPS = 400
# Watched runs that may still come, for the time that each is given.
_RUNS = 6


def diagnose_module(
    path: Path, deadline: float = DEADLINE, report: Report = lambda line: None
) -> Diagnosis:
    """Diagnose the module in a file.

    Args:
        path: defines build_model, make_dataset, keras_fit and custom_loop.
        deadline: seconds after which what has not ended by itself is stopped; then the verdict is
            'unknown' unless causes were found. Importing TensorFlow and the module is not counted.
        report: hears what is being done.

    Raises:
        TwintrainError: the module lacks something, or its data cannot be used.
        UserCodeError: its code raised.
    """
    with as_found():
        report(f"loading {path.name}")
        namespace = load_module(path)
        return _diagnose(namespace, namespace, deadline, report)


def diagnose(
    build_model: Callable[..., Any],
    make_dataset: Callable[..., Any],
    keras_fit: Callable[..., Any],
    custom_loop: Callable[..., Any],
    deadline: float = DEADLINE,
    report: Report = lambda line: None,
) -> Diagnosis:
    """Diagnose four functions, from Python or a notebook: `twintrain.diagnose(build_model,
    make_dataset, ...)`.

    They run in this process; its global state (seeds, dtype policy, eager mode) is put back in the
    end.

    Args:
        build_model: makes a keras.Model.
        make_dataset: of 'train' or 'test', makes a batched tf.data.Dataset.
        keras_fit: of model, data set and epochs, trains with compile and fit.
        custom_loop: of the same, trains in a way of its own.
        deadline: seconds, as for `diagnose_module`.
        report: hears what is being done.

    Raises:
        TwintrainError: as `diagnose_module`.
        UserCodeError: as `diagnose_module`.
    """
    functions = {
        "build_model": build_model,
        "make_dataset": make_dataset,
        FIT: keras_fit,
        LOOP: custom_loop,
    }
    with as_found():
        return _diagnose(functions, getattr(custom_loop, "__globals__", {}), deadline, report)


def _diagnose(
    functions: dict[str, Any], namespace: dict[str, Any], deadline: float, report: Report
) -> Diagnosis:
    budget = Budget(deadline, report)
    with budget.phase(READING):
        subject = subject_of(functions, namespace)
    return diagnose_subject(subject, budget)


def diagnose_subject(
    subject: Subject, budget: Budget, known: Callable[[Pair], None] = lambda pair: None
) -> Diagnosis:
    """Diagnose two sides.

    Args:
        subject: the sides.
        budget: the time there is.
        known: adds to the findings what was seen of the code before; called once both sides were
            watched.

    Raises:
        TwintrainError: a side makes no step that could be seen.
        UserCodeError: its code raised.
    """
    # First as they are: what fails here is the code's own fault.
    runs = run_longer(subject, budget)
    if runs is not None:
        runs = read_graphs(runs, budget)
        subject = subject.watched_frozen(runs.frozen)
    try:
        result = _compare(subject, runs, budget, known)
    except UserCodeError as error:
        if runs is None:
            raise
        result = only_graphs(error)
    return result.model_copy(update={"seconds": budget.spent, "phases": dict(budget.phases)})


def _compare(
    subject: Subject, runs: Long | None, budget: Budget, known: Callable[[Pair], None]
) -> Diagnosis:
    """Watch both sides, and look at every stage."""
    try:
        once, twice = _watch(subject, budget)
    except UserCodeError:
        if not subject.cut:
            raise
        subject = subject.whole()
        once, twice = _watch(subject, budget)
    _need_steps(twice)
    pair = _pair_of(once, twice, subject)
    if _needs_all_rows(pair):
        # Numbers of rows may stand in the code.
        whole = subject.whole()
        again = _watch(whole, budget)
        if all(trace.complete for traces in again for trace in traces.values()):
            once, twice = again
            pair = _pair_of(once, twice, whole)
    known(pair)
    kept = frozenset(cause.id for cause in pair.findings.causes)
    if runs is not None:
        _compare_graphs(pair, runs)
    with budget.phase("replaying the steps"):
        _look(pair)
    repeat = repeat_of(pair, once, CLOSE)
    if pair.complete and not same_order(pair):
        pair = _unshuffled(pair, once, budget)
    # Before the longer runs add to what is not explained.
    replayed = not pair.findings.unexplained and len(pair.losses) == len(SIDES)
    if any(_starts_with_nan(side) for side in pair.sides):
        pair.findings.notes.append("A loss is not a number from the first step on.")
    _compare_endings(pair, runs, budget)
    acquit_accumulation(pair, runs is None or runs.apart is not None)
    acquit_steps(pair, epochs_alike(runs) if runs else 0, kept)
    return conclude(pair, repeat, replayed)


def _pair_of(once: dict[str, Trace], twice: dict[str, Trace], subject: Subject) -> Pair:
    fit, loop = (_read(once[side], twice[side], subject) for side in SIDES)
    return Pair(fit, loop, subject)


def _needs_all_rows(pair: Pair) -> bool:
    """Whether the sides train on different rows maybe only because the data was cut, and there is
    not too much of it to see two epochs.
    """
    train = pair.subject.train
    if not train.cut or train.total is None or 2 * train.total > MOST_STEPS * train.batch:
        return False
    return train_on_other_rows(pair)


def _look(pair: Pair) -> None:
    for check in CHECKS:
        attempt(pair, check)


def attempt(pair: Pair, check: Callable[..., bool], *arguments: Any) -> bool:
    """Let a check look, and whether it could; where it fails, that costs this check alone."""
    try:
        return check(pair, *arguments)
    except Exception as error:
        name = check.__name__.removeprefix("check_").replace("_", " ")
        pair.findings.failures.append(f"{name} could not be read: {shortened(repr(error))}")
        traceback.print_exc(file=sys.stderr)
        return False


def _unshuffled(pair: Pair, once: dict[str, Trace], budget: Budget) -> Pair:
    """The same two sides with nothing shuffled, so that their steps can be compared; findings are
    added to those there are.
    """
    twice = {}
    for side in SIDES:
        with budget.phase(f"watching {side} with nothing shuffled"):
            seconds = budget.share(_RUNS)
            twice[side] = pair.subject.run(side, 2, CLOSE, MOST_STEPS, seconds, unshuffled=True)
    still = _pair_of(once, twice, pair.subject)
    still.findings, still.unshuffled = pair.findings, True
    told = list(pair.findings.unexplained)
    with budget.phase("replaying the steps"):
        _look(still)
    unexplained = pair.findings.unexplained
    unexplained[:] = [*told, *(line for line in unexplained[len(told) :] if line not in told)]
    return still


def _compare_graphs(pair: Pair, runs: Long) -> None:
    """Compare the longer runs: each side with itself as plain Python, and the sides."""
    attempt(pair, check_graphs, runs.readings, runs.apart)
    if runs.apart is not None:
        pair.findings.apart = (
            f"run as they are on {len(runs.subject.train)} rows, {runs.apart.describe()}"
        )
    epochs = f"{said_epochs(runs)} of {runs.steps} steps"
    if any(look.open for look in pair.findings.looks):
        pair.findings.compared("runs as they are", epochs)
    elif any(reading.calls for reading in runs.readings.values()):
        plain = f"held against plain Python in {runs.plain} of them"
        pair.findings.compared("tf.function", f"{epochs}, {plain}")
    else:
        pair.findings.compared("tf.function", f"neither side uses it; {epochs} as they are")


def _compare_endings(pair: Pair, runs: Long | None, budget: Budget) -> None:
    """Compare when the longer runs stop, and which weights they keep."""
    findings = pair.findings
    late = runs and late_runs(runs, pair.subject.train)
    if late is not None and all(map(only_reports, findings.causes)):
        for check in (check_late_constraints, check_late_parting):
            attempt(pair, check, late)
    if runs is None:
        why = "a side did not end a longer run in the time it was given"
        findings.not_compared("tf.function, end of run", why, open_=True)
    elif runs.cut_short:
        why = "a side does not run on little data for many epochs"
        findings.not_compared("end of run", why, open_=True)
    else:
        again = lambda side: run_on_other_rows(runs, side, budget)  # noqa: E731
        longest = runs

        def further(way: Callable[[Long, Budget], Long | None]) -> dict[str, Milestones] | None:
            nonlocal longest
            longer = way(runs, budget)
            if longer is not None and longer.epochs >= longest.epochs:
                longest = longer
            return None if longer is None else longer.graphs

        ways = [functools.partial(further, way) for way in (run_further, run_on_noise)]
        all_rows = len(runs.subject.train) == len(pair.subject.train)
        asked = (runs.graphs, runs.test, again, ways, all_rows)
        told_apart = attempt(pair, check_ending, *asked)
        # Weights that are equal in the end were kept alike, also where no epoch was seen to end.
        if told_apart or not findings.apart:
            findings.compared("end of run", f"within {longest.epochs} epochs")
        else:
            why = f"the epochs of a longer run ({runs.epochs}) could not be told apart"
            findings.not_compared("end of run", why, open_=True)
    if runs is not None and not findings.causes and only_on_little_data(runs, pair.subject, budget):
        findings.apart = ""
        findings.notes.append(
            f"On {len(runs.subject.train)} rows the sides take other steps; on the rows they were "
            "watched on they do not."
        )


def _watch(subject: Subject, budget: Budget) -> tuple[dict[str, Trace], dict[str, Trace]]:
    once, twice = {}, {}
    for side in SIDES:
        with budget.phase(f"watching {side}: one epoch, then two"):
            once[side] = subject.run(side, 1, CLOSE, MOST_STEPS, budget.share(_RUNS))
            twice[side] = subject.run(side, 2, CLOSE, MOST_STEPS, budget.share(_RUNS))
    return once, twice


def _read(once: Trace, twice: Trace, subject: Subject) -> Side:
    """A side, read from what it did when it was asked for one epoch, and for two."""
    return read_side(twice, _first_epoch(once, twice), subject, len(once.steps))


def _first_epoch(once: Trace, twice: Trace) -> int:
    """Steps in a training of one epoch; in one that did not end, those before data began anew."""
    if once.complete and once.steps:
        return len(once.steps)
    steps = once.steps or twice.steps
    return next((number for number, step in enumerate(steps, start=1) if step.boundary), len(steps))


def _need_steps(runs: dict[str, Trace]) -> None:
    for side, trace in runs.items():
        if any(step.target is not None and step.after is not None for step in trace.steps):
            continue
        if trace.note:
            before = trace.seconds if trace.seconds_to_first is None else trace.seconds_to_first
            raise TwintrainError(
                f"{side} was {trace.note}, {before:.0f} s of them before its first training step.",
                "Allow it more time with --deadline, or let it begin sooner.",
            )
        raise TwintrainError(
            f"{side} made no training step that could be seen.",
            "A step is a call of a keras.Model under tf.GradientTape, and tape.gradient of a loss.",
        )


def _starts_with_nan(side: Side) -> bool:
    return not np.isfinite(side.steps[0].target or 0.0)
