"""Weighs what the stages found against what the numbers say."""

from __future__ import annotations

from twintrain.diagnosis.catalogue import Stage, order
from twintrain.diagnosis.patches import patch_of
from twintrain.diagnosis.places import spots_of
from twintrain.diagnosis.replay.compare import largest, trainable_positions
from twintrain.diagnosis.replay.tolerances import (
    END_FACTOR,
    GROWN,
    REPEAT_FACTOR,
    ROUNDING,
    UNSEEDED,
)
from twintrain.diagnosis.result import Cause, Diagnosis, Look, Verdict
from twintrain.diagnosis.stages.findings import Findings
from twintrain.diagnosis.stages.lockstep_tables import (
    BATCH,
    first_divergence,
    lockstep_tables,
    same_batches,
    weight_curve,
)
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.places import place_of
from twintrain.diagnosis.watch.trace import Trace
from twintrain.diagnosis.watch.user_module import UserCodeError
from twintrain.parity.divergence import Divergence


def conclude(pair: Pair, repeat: float, replayed: bool) -> Diagnosis:
    """Weigh what the stages found against what the numbers say.

    Args:
        pair: with the findings of all stages.
        repeat: how far the same code comes from itself in two runs.
        replayed: forward pass, loss, gradients and updates of both sides were reproduced.
    """
    findings = pair.findings
    tolerance = max(ROUNDING, REPEAT_FACTOR * repeat)
    tables = lockstep_tables(pair)
    first = first_divergence(tables, tolerance)
    curve = weight_curve(pair)
    final = _final_difference(pair)
    near = final is None or final <= tolerance * END_FACTOR
    same_numbers = first is None and bool(tables) and near
    _note_coverage(pair, len(tables), first)
    # What no replay explains matters only where the sides differ: a loss of the user's own, used by
    # both, does not.
    unexplained = [] if same_numbers else list(findings.unexplained)
    silent = not findings.causes and not unexplained and not same_numbers
    if silent and not _is_rounding(first, replayed):
        unexplained = ["the weights differ, and every stage that was replayed agrees"]
    unexplained += findings.differing
    if findings.apart and all(only_reports(cause) for cause in findings.causes):
        unexplained.append(findings.apart)
    causes = sorted(findings.causes, key=lambda cause: order(cause.id))
    named = {cause.id for cause in findings.causes}
    measured = [value for value in curve if value is not None]
    return Diagnosis(
        verdict=verdict_of(findings, unexplained),
        causes=[_placed(pair, cause) for cause in causes],
        first_divergence=first,
        max_abs_difference=measured[-1] if measured else final,
        steps=len(tables),
        tolerance=tolerance,
        unexplained=unexplained,
        ruled_out=sorted(findings.ruled_out - named),
        notes=[*findings.notes, *_notes(pair)],
        coverage=findings.looks,
        failures=findings.failures,
        curve=curve,
        tables=tables,
    )


def only_graphs(error: UserCodeError) -> Diagnosis:
    """The code runs in graphs, and cannot be watched as plain Python."""
    last = error.text.strip().splitlines()[-1]
    why = f"{error.where} runs in tf.function, and raises as plain Python: {last}"
    return Diagnosis(
        verdict="unknown",
        causes=[],
        first_divergence=None,
        max_abs_difference=None,
        steps=0,
        tolerance=0.0,
        unexplained=[],
        ruled_out=[],
        notes=[],
        coverage=[Look(what="steps", compared=False, said=why, open=True)],
        curve=[],
        tables=[],
    )


def _placed(pair: Pair, cause: Cause) -> Cause:
    """A cause with its lines, its step counted from one, and the epoch that is of."""
    side, placed = pair.side(cause.side), cause
    try:
        places = [place_of(spot) for spot in spots_of(side.trace, cause)]
        placed = cause.model_copy(update={"places": places, "patch": patch_of(pair, cause)})
    except Exception as error:  # a cause is worth telling without its lines too
        pair.findings.failures.append(f"the lines of {cause.id} could not be read: {error!r}")
    if cause.step is None:
        return placed
    epoch = 1 if cause.step < side.first_epoch else 2
    return placed.model_copy(update={"step": cause.step + 1, "epoch": epoch})


def only_reports(cause: Cause) -> bool:
    """Whether a cause is in what is reported, and the training is the same with it."""
    evaluated = cause.id in ("evaluation_set_differs", "evaluation_training_mode")
    return evaluated or cause.first_visible in (Stage.METRIC, Stage.SECOND_METRIC)


def verdict_of(findings: Findings, unexplained: list[str]) -> Verdict:
    """'identical' only where all was compared and nothing differs."""
    if findings.causes:
        return "causes_found"
    left_open = any(look.open for look in findings.looks)
    return "unknown" if unexplained or findings.failures or left_open else "identical"


def _note_coverage(pair: Pair, steps: int, first: Divergence | None) -> None:
    """What the two watched epochs compared, and what they did not."""
    findings = pair.findings
    for side in pair.sides:
        if not side.trace.complete:
            findings.not_compared("epochs", f"{side.name} was {side.trace.note}", open_=True)
    if pair.complete:
        findings.compared("epochs", "2 of 2, by the weights they end with")
    if findings.adds_up:
        why = f"{findings.adds_up} takes several batches for an update"
        findings.not_compared("steps", why, open_=False)
    elif first is not None and first.stage == BATCH:
        why = "inputs differ" if same_batches(pair) else "batches come in another order"
        findings.not_compared("steps", f"{why}, also where nothing is shuffled", open_=True)
    elif steps:
        of = max(len(side.steps) for side in pair.sides)
        still = ", with nothing shuffled" if pair.unshuffled else ""
        findings.compared("steps", f"{steps} of {of} tensor by tensor{still}")
    else:
        findings.not_compared("steps", "no step was seen whole on both sides", open_=True)
    evaluating = [side.name for side in pair.sides if side.trace.evaluations]
    if len(evaluating) == 2:
        findings.compared("evaluation", "after each epoch")
    else:
        why = f"only {evaluating[0]} evaluates" if evaluating else "neither side evaluates"
        findings.not_compared("evaluation", why, open_=False)


def _is_rounding(first: Divergence | None, replayed: bool) -> bool:
    """Whether a difference that no stage explains is what rounding grows to: all was reproduced,
    and it is small. Where batches cannot be compared, that is told as such.
    """
    if first is None:
        return False
    if first.stage == BATCH:
        return True
    return replayed and (first.max_abs or 1.0) < GROWN


def _notes(pair: Pair) -> list[str]:
    notes = []
    compiled = [side.name for side in pair.sides if side.trace.compiled]
    if len(compiled) == 1:
        notes.append(
            f"Only {compiled[0]} asks for XLA. Step by step both were watched without it: what it "
            "rounds differently is not counted."
        )
    return notes


def repeat_of(pair: Pair, once: dict[str, Trace], steps: int) -> float:
    """How far the same code comes from itself in two runs (A/A), over the weights after each of
    the first steps; a side that draws random numbers of its own is noted.
    """
    worst = 0.0
    for side in pair.sides:
        for a, b in zip(once[side.name].steps[:steps], side.steps[:steps], strict=False):
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
