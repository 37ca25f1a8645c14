"""The whole diagnosis: runs both sides, replays each stage, and names what differs.

    result = diagnose_module(Path("my_training.py"))
    result.verdict, [cause.id for cause in result.causes]

Each side is read by itself: from what it had before a stage, a correct loop's stage is replayed,
and where that does not give what was observed, the same stage with a mistake of the catalogue
planted. A mistake is named only where its replay reproduces the observation to float tolerance and
the other side does otherwise. Since each stage starts from what was observed before it, mistakes do
not hide one another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from twintrain.diagnosis.catalogue import order
from twintrain.diagnosis.replay.compare import largest, trainable_positions
from twintrain.diagnosis.replay.early_stopping import EPOCHS
from twintrain.diagnosis.replay.tolerances import (
    END_FACTOR,
    GROWN,
    REPEAT_FACTOR,
    ROUNDING,
    UNSEEDED,
)
from twintrain.diagnosis.result import Diagnosis, Verdict
from twintrain.diagnosis.stages import (
    batches,
    end_of_run,
    evaluation,
    forward,
    gradients,
    learning_rate,
    loss,
    metrics,
    models,
    start,
    targets,
    update,
    validation_split,
)
from twintrain.diagnosis.stages.end_of_run import check_ending
from twintrain.diagnosis.stages.lockstep_tables import (
    BATCH,
    first_divergence,
    lockstep_tables,
    weight_curve,
)
from twintrain.diagnosis.stages.pair import Pair, Side, read_side
from twintrain.diagnosis.stages.validation_split import train_on_other_rows
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import FIT, LOOP, SIDES, Trace
from twintrain.diagnosis.watch.user_module import (
    Subject,
    UserCodeError,
    as_found,
    load_module,
    subject_of,
)
from twintrain.errors import TwintrainError
from twintrain.parity.divergence import Divergence

Report = Callable[[str], None]

# In the order in which things happen in a step, an epoch and a training.
STAGES = (
    start,
    models,
    validation_split,
    targets,
    batches,
    forward,
    loss,
    gradients,
    update,
    learning_rate,
    evaluation,
    metrics,
    end_of_run,
)
CHECKS: tuple[Callable[[Pair], bool], ...] = tuple(
    check for stage in STAGES for check in stage.CHECKS
)
# Steps from each boundary on that are kept in full, and steps after which a run is stopped.
CLOSE = 12
MOST_STEPS = 400
# Share of the deadline after which the longer run is left out.
LAST_START = 0.7
# Rows of the longer run.
FEW_ROWS, FEW_TEST_ROWS = 128, 64


def diagnose_module(
    path: Path, deadline: float = 120.0, report: Report = lambda line: None
) -> Diagnosis:
    """Diagnose the module in a file.

    Args:
        path: defines build_model, make_dataset, keras_fit and custom_loop.
        deadline: seconds after which no new run starts; a run that does not end is stopped.
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
    deadline: float = 120.0,
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
    started = time.monotonic()
    report("reading the data")
    subject = subject_of(functions, namespace)
    left = lambda: max(3.0, deadline - (time.monotonic() - started))  # noqa: E731
    try:
        once, twice = _watch(subject, left, report)
    except UserCodeError:
        if not subject.cut:
            raise
        report("the code needs all of its data; once more with it")
        subject = subject.whole()
        once, twice = _watch(subject, left, report)
    _need_steps(once)
    report("replaying the steps")
    pair = _pair_of(once, twice, subject)
    if _needs_all_rows(pair):
        report("the two train on different rows; once more with all of the data")
        whole = subject.whole()
        again = _watch(whole, left, report)
        if all(trace.complete for runs in again for trace in runs.values()):
            once, twice = again
            pair = _pair_of(once, twice, whole)
    for check in CHECKS:
        check(pair)
    replayed = len(pair.losses) == len(SIDES) and not pair.findings.unexplained
    if any(_starts_with_nan(side) for side in pair.sides):
        pair.findings.notes.append("A loss is not a number from the first step on.")
    if pair.complete and time.monotonic() - started < deadline * LAST_START:
        report("watching a longer run of each, for early stopping")
        _compare_endings(pair, left)
    result = conclude(pair, once, replayed)
    result.seconds = time.monotonic() - started
    return result


def _pair_of(once: dict[str, Trace], twice: dict[str, Trace], subject: Subject) -> Pair:
    fit, loop = (read_side(twice[side], _first_epoch(once[side]), subject) for side in SIDES)
    return Pair(fit, loop, subject)


def _needs_all_rows(pair: Pair) -> bool:
    """Whether the sides train on different rows maybe only because the data was cut, and there is
    not too much of it to see two epochs.
    """
    train = pair.subject.train
    if not train.cut or train.total is None or 2 * train.total > MOST_STEPS * train.batch:
        return False
    return train_on_other_rows(pair)


def _watch(
    subject: Subject, left: Callable[[], float], report: Report
) -> tuple[dict[str, Trace], dict[str, Trace]]:
    once, twice = {}, {}
    for side in SIDES:
        report(f"watching {side}: one epoch, then two")
        once[side] = subject.run(side, 1, CLOSE, MOST_STEPS, left() / 4)
        twice[side] = subject.run(side, 2, CLOSE, MOST_STEPS, left() / 4)
    return once, twice


def _first_epoch(once: Trace) -> int:
    """Steps in a training of one epoch; in one that did not end, those before data began anew."""
    if once.complete:
        return len(once.steps)
    return next(
        (number for number, step in enumerate(once.steps, start=1) if step.boundary),
        len(once.steps),
    )


def _need_steps(runs: dict[str, Trace]) -> None:
    for side, trace in runs.items():
        if not any(step.target is not None and step.after is not None for step in trace.steps):
            why = f" ({trace.note})" if trace.note else ""
            raise TwintrainError(
                f"{side} made no training step that could be seen{why}.",
                "A step is a call of a keras.Model under tf.GradientTape, and tape.gradient of a "
                "loss.",
            )


def _starts_with_nan(side: Side) -> bool:
    return not np.isfinite(side.steps[0].target or 0.0)


def _compare_endings(pair: Pair, left: Callable[[], float]) -> None:
    """Run both sides longer, on little data, and compare how they end."""
    subject = pair.subject
    test = subject.test.shortened(FEW_TEST_ROWS, shuffled_targets=True) if subject.test else None
    runs = {}
    for side in SIDES:
        run = _longer_run(pair, side, test, left)
        if run is None:
            return
        runs[side] = run
    check_ending(pair, runs, test)


def _longer_run(
    pair: Pair, side: str, test: Rows | None, left: Callable[[], float]
) -> Milestones | None:
    """One side's longer run; None, and a note, where it cannot be had."""
    train = pair.subject.train.shortened(FEW_ROWS, shuffled_targets=False)
    try:
        found = pair.subject.varied(train, test).run_plain(side, EPOCHS, left() / 3)
        why = "did not end a longer run in time"
    except UserCodeError:
        found = None
        why = "does not run on little data"
    if found is None:
        pair.findings.notes.append(f"{side} {why}: early stopping was not compared.")
    return found


def conclude(pair: Pair, once: dict[str, Trace], replayed: bool) -> Diagnosis:
    """Weigh what the stages found against what the numbers say.

    Args:
        pair: with the findings of all stages.
        once: per side, another run, of one epoch.
        replayed: forward pass, loss, gradients and updates of both sides were reproduced.
    """
    findings = pair.findings
    tolerance = max(ROUNDING, REPEAT_FACTOR * _repeat(pair, once))
    tables = lockstep_tables(pair)
    first = first_divergence(tables, tolerance)
    curve = weight_curve(pair)
    final = _final_difference(pair)
    near = final is None or final <= tolerance * END_FACTOR
    same_numbers = first is None and bool(tables) and near
    # What no replay explains matters only where the sides differ: a loss of the user's own, used by
    # both, does not.
    unexplained = [] if same_numbers else findings.unexplained
    silent = not findings.causes and not unexplained and not same_numbers
    if silent and not _is_rounding(first, replayed):
        unexplained = ["the weights differ, and every stage that was replayed agrees"]
    named = {cause.id for cause in findings.causes}
    measured = [value for value in curve if value is not None]
    return Diagnosis(
        verdict=_verdict(bool(named), bool(unexplained)),
        causes=sorted(findings.causes, key=lambda cause: order(cause.id)),
        first_divergence=first,
        max_abs_difference=measured[-1] if measured else final,
        steps=len(tables),
        tolerance=tolerance,
        unexplained=unexplained,
        ruled_out=sorted(findings.ruled_out - named),
        notes=[*findings.notes, *_notes(pair)],
        curve=curve,
        tables=tables,
    )


def _verdict(named: bool, unexplained: bool) -> Verdict:
    if named:
        return "causes_found"
    return "unknown" if unexplained else "identical"


def _is_rounding(first: Divergence | None, replayed: bool) -> bool:
    """Whether a difference that no stage explains is none: the batches cannot be compared, or all
    was reproduced and the difference is what rounding grows to.
    """
    if first is None:
        return False
    if first.stage == BATCH:
        return True
    return replayed and (first.max_abs or 1.0) < GROWN


def _notes(pair: Pair) -> list[str]:
    notes = [f"{side.name} was {side.trace.note}." for side in pair.sides if side.trace.note]
    compiled = [side.name for side in pair.sides if side.trace.compiled]
    if len(compiled) == 1:
        notes.append(
            f"Only {compiled[0]} asks for XLA. Both were watched without it: what it rounds "
            "differently is not counted."
        )
    return notes


def _repeat(pair: Pair, once: dict[str, Trace]) -> float:
    """How far the same code comes from itself in two runs (A/A), over the weights after each
    compared step.
    """
    worst = 0.0
    for side in pair.sides:
        for a, b in zip(once[side.name].steps[:CLOSE], side.steps[:CLOSE], strict=False):
            if a.after is None or b.after is None:
                continue
            positions = trainable_positions(a.model)
            gap = largest([a.after[p] for p in positions], [b.after[p] for p in positions])
            if gap is None or gap > UNSEEDED:
                pair.findings.notes.append(
                    f"{side.name} does not repeat itself: it draws random numbers that no global "
                    "seed governs."
                )
                return worst
            worst = max(worst, gap)
    return worst


def _final_difference(pair: Pair) -> float | None:
    fit, loop = pair.fit.trace.kept, pair.loop.trace.kept
    if fit is None or loop is None:
        return None
    return largest(fit, loop)
