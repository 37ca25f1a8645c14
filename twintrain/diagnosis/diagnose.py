"""The whole diagnosis: runs both sides, replays each stage, and names what differs.

    result = diagnose_module(Path("my_training.py"))
    result.verdict, [cause.id for cause in result.causes]

Each side is read by itself: from what it had before a stage, a correct loop's stage is replayed,
    and where that does
not give what was observed, the same stage with a mistake of the catalogue planted. A mistake is
named only where its replay reproduces the observation to float tolerance and the other side does
otherwise. Since each stage starts from what was observed before it, mistakes do not hide one
another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from twintrain.diagnosis.catalogue import by_id, order
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.stages.batches import check_batches, check_start
from twintrain.diagnosis.stages.end_of_run import EPOCHS, check_average, check_ending
from twintrain.diagnosis.stages.evaluation import check_evaluations
from twintrain.diagnosis.stages.findings import (
    FIT,
    LOOP,
    Pair,
    largest,
    read_side,
    trainable_positions,
)
from twintrain.diagnosis.stages.forward import check_forward, check_models
from twintrain.diagnosis.stages.learning_rate import check_rates
from twintrain.diagnosis.stages.lockstep_tables import (
    first_divergence,
    lockstep_tables,
    weight_curve,
)
from twintrain.diagnosis.stages.loss import LossReading, read_losses
from twintrain.diagnosis.stages.metrics import check_metrics
from twintrain.diagnosis.stages.update import check_updates
from twintrain.diagnosis.watch.trace import SIDES, Trace
from twintrain.diagnosis.watch.user_module import (
    Subject,
    UserCodeError,
    as_found,
    load_module,
    subject_of,
)
from twintrain.errors import TwintrainError

Tell = Callable[[str], None]
CLOSE = 12
MOST_STEPS = 400
# What float32 rounding makes of two dozen steps; more, where the same code differs by more between
# two runs.
ROUNDING = 2e-5
# And of two epochs, where every stage was replayed and agrees: Adam turns the last digit of a
# gradient near zero into a step of full length.
GROWN = 1e-3


def diagnose_module(
    path: Path, deadline: float = 120.0, tell: Tell = lambda line: None
) -> Diagnosis:
    """Diagnose the module in a file.

    Args:
        path: defines build_model, make_dataset, keras_fit and custom_loop.
        deadline: seconds after which no new run starts; a run that does not end is stopped.
        tell: hears what is being done.

    Raises:
        TwintrainError: the module lacks something, or its data cannot be used.
        UserCodeError: its code raised.
    """
    with as_found():
        tell(f"loading {path.name}")
        namespace = load_module(path)
        return _diagnose(namespace, namespace, deadline, tell)


def diagnose(
    build_model: Callable[..., Any],
    make_dataset: Callable[..., Any],
    keras_fit: Callable[..., Any],
    custom_loop: Callable[..., Any],
    deadline: float = 120.0,
    tell: Tell = lambda line: None,
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
        tell: hears what is being done.

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
        return _diagnose(functions, getattr(custom_loop, "__globals__", {}), deadline, tell)


def _diagnose(
    functions: dict[str, Any], namespace: dict[str, Any], deadline: float, tell: Tell
) -> Diagnosis:
    started = time.monotonic()
    tell("reading the data")
    subject = subject_of(functions, namespace)
    left = lambda: max(3.0, deadline - (time.monotonic() - started))  # noqa: E731
    try:
        once, twice = _watch(subject, left, tell)
    except UserCodeError:
        if not subject.cut:
            raise
        tell("the code needs all of its data; once more with it")
        subject = subject.whole()
        once, twice = _watch(subject, left, tell)
    _need_steps(once)
    tell("replaying the steps")
    fit, loop = (read_side(twice[side], _first_epoch(once[side]), subject) for side in SIDES)
    pair = Pair(fit, loop, subject)
    losses = _stages(pair)
    pair.replayed = len(losses) == len(SIDES) and not pair.unexplained
    if (
        all(trace.complete for trace in twice.values())
        and time.monotonic() - started < deadline * 0.7
    ):
        tell("watching a longer run of each, for early stopping")
        _ending(pair, losses, left)
    result = conclude(pair, once)
    result.seconds = time.monotonic() - started
    return result


def _watch(
    subject: Subject, left: Callable[[], float], tell: Tell
) -> tuple[dict[str, Trace], dict[str, Trace]]:
    once, twice = {}, {}
    for side in SIDES:
        tell(f"watching {side}: one epoch, then two")
        once[side] = subject.run(side, 1, CLOSE, MOST_STEPS, left() / 4)
        twice[side] = subject.run(side, 2, CLOSE, MOST_STEPS, left() / 4)
    return once, twice


def _first_epoch(once: Trace) -> int:
    """Steps in a training of one epoch; for one that did not end, those before the data began anew."""
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


def _stages(pair: Pair) -> dict[str, LossReading]:
    check_start(pair)
    check_models(pair)
    check_batches(pair)
    if _first_is_nan(pair):
        pair.notes.append("A loss is not a number from the first step on.")
    check_forward(pair)
    losses = read_losses(pair)
    check_updates(pair, losses)
    check_rates(pair)
    check_evaluations(pair)
    check_metrics(pair, losses)
    check_average(pair)
    return losses


def _first_is_nan(pair: Pair) -> bool:
    return any(not np.isfinite(side.steps[0].target or 0.0) for side in pair.sides)


def _ending(pair: Pair, losses: dict[str, LossReading], left: Callable[[], float]) -> None:
    subject = pair.subject
    test = subject.test.shortened(64, shuffled_targets=True) if subject.test else None
    small = subject.varied(subject.train.shortened(128, shuffled_targets=False), test)
    runs = {}
    for side in SIDES:
        try:
            found = small.run_plain(side, EPOCHS, left() / 3)
        except UserCodeError:
            pair.notes.append(
                f"{side} does not run on little data: early stopping was not compared."
            )
            return
        if found is None:
            pair.notes.append(
                f"{side} did not end a longer run in time: early stopping was not compared."
            )
            return
        runs[side] = found
    check_ending(pair, runs, test, losses[FIT].declared if FIT in losses else None)


def conclude(pair: Pair, once: dict[str, Trace]) -> Diagnosis:
    """Weigh what the stages found against what the numbers say."""
    tolerance = max(ROUNDING, 2 * _repeat(pair, once))
    tables = lockstep_tables(pair)
    first = first_divergence(tables, tolerance)
    curve = weight_curve(pair, len(tables))
    pair.causes.sort(key=lambda cause: order(cause.id))
    for cause in pair.causes:
        cause.fix = by_id(cause.id).fix
    final = _final_difference(pair)
    same_numbers = first is None and bool(tables) and (final is None or final <= tolerance * 50)
    # What no replay explains matters only where the sides differ: a loss of the user's own, used by
    # both, does not.
    unexplained = [] if same_numbers else pair.unexplained
    comparable = first is None or first.stage != "batch"
    small = first is not None and first.stage != "batch" and (first.max_abs or 1.0) < GROWN
    if (
        not pair.causes
        and not unexplained
        and not same_numbers
        and comparable
        and not (small and pair.replayed)
    ):
        unexplained = ["the weights differ, and every stage that was replayed agrees"]
    verdict = "causes_found" if pair.causes else "unknown" if unexplained else "identical"
    measured = [value for value in curve if value is not None]
    return Diagnosis(
        verdict=verdict,  # type: ignore[arg-type]
        causes=pair.causes,
        first_divergence=first,
        max_abs_difference=measured[-1] if measured else final,
        steps=len(tables),
        tolerance=tolerance,
        unexplained=unexplained,
        ruled_out=sorted(pair.ruled_out - {cause.id for cause in pair.causes}),
        notes=[*pair.notes, *_notes(pair)],
        curve=curve,
        tables=tables,
    )


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
            if gap is None or gap > 1e-3:
                note = f"{side.name} does not repeat itself: it draws random numbers that no global seed governs."
                if note not in pair.notes:
                    pair.notes.append(note)
                return worst
            worst = max(worst, gap)
    return worst


def _final_difference(pair: Pair) -> float | None:
    kept = [side.trace.kept for side in pair.sides]
    if kept[0] is None or kept[1] is None:
        return None
    return largest(kept[0], kept[1])
