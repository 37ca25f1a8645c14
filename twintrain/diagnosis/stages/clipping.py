"""Stages 'gradients' and 'update': what each side does to its gradients before they are applied."""

from __future__ import annotations

from typing import NamedTuple

from twintrain.diagnosis.replay.clipping import (
    ARGUMENTS,
    NO_CLIPPING,
    Gradients,
    Rule,
    Way,
    clip,
    clipping,
    global_norm,
    times,
)
from twintrain.diagnosis.replay.compare import each_close, gradients_agree
from twintrain.diagnosis.replay.tolerances import CLIPPED, SAME_LIMIT
from twintrain.diagnosis.replay.updates import inner, replay_update, replicas
from twintrain.diagnosis.result import Evidence
from twintrain.diagnosis.stages.changes import change_of_weight
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.handed import Handed, handed, reached, way_of_side
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, CompleteStep

# How each kind of clipping is written in a loop.
_BY_HAND = {
    "global": "gradients, _ = tf.clip_by_global_norm(gradients, {limit:.4g})",
    "per variable": "gradients = [tf.clip_by_norm(g, {limit:.4g}) for g in gradients]",
    "value": "gradients = [tf.clip_by_value(g, -{limit:.4g}, {limit:.4g}) for g in gradients]",
}


class Treated(NamedTuple):
    """A side's updates, and what it does to its gradients in all of them."""

    side: Side
    updates: list[Handed]
    way: Way

    @property
    def rule(self) -> Rule:
        """How it clips: by hand, or else as its optimizer does."""
        by_hand = self.way.rule != NO_CLIPPING
        return self.way.rule if by_hand else clipping(self.updates[0].applied.optimizer)

    def multiplied(self, number: int) -> Gradients:
        """The tape's gradients of an update as they are before they are clipped."""
        return times(self.way.factors[number], self.updates[number].raw)


def _treated(side: Side) -> Treated | None:
    updates = handed(side)
    way = way_of_side(updates)
    return None if way is None else Treated(side, updates, way)


@looks_for("gradients_rescaled")
def check_rescaled(pair: Pair) -> bool:
    """Does one side multiply its gradients by a constant?"""
    factors: dict[str, float] = {}
    for side in pair.sides:
        found = _treated(side)
        if found is None or found.way.factor is None:
            return False
        reading = pair.losses.get(side.name)
        # Sums of several batches are looked at as such, and what undoes a factor of the loss is
        # right.
        summed = any(update.passes > 1 for update in found.updates)
        factors[side.name] = (
            1.0 if summed or (reading is not None and reading.factors) else found.way.factor
        )
    if each_close(factors[FIT], factors[LOOP], SAME_LIMIT):
        return True
    at_fault = FIT if each_close(factors[LOOP], 1.0, SAME_LIMIT) else LOOP
    same_loss = any(look.what == "loss" and look.compared for look in pair.findings.looks)
    if at_fault not in pair.losses and not same_loss:
        # It may undo a factor of that loss.
        pair.findings.unexplained.append(
            f"{at_fault}: gradients are multiplied by {factors[at_fault]:.6g} on their way to the "
            "optimizer, and no replay gives its loss"
        )
        return False
    _name_rescaled(pair, pair.side(at_fault), factors[at_fault])
    return True


def _name_rescaled(pair: Pair, side: Side, factor: float) -> None:
    first = handed(side)[0]
    evidence: list[Evidence] = [
        by_replay(
            f"norm of the gradients handed to the optimizer in step {first.number + 1}",
            global_norm(first.given),
            f"{factor * global_norm(first.raw):.6g} (the tape's, times {factor:.6g})",
            global_norm(first.raw),
        )
    ]
    evidence += _weight(side, first, first.raw, clips=True)
    pair.findings.name_cause(
        "gradients_rescaled",
        side.name,
        first.number,
        *evidence,
        fix=f"Do not multiply the gradients by {factor:.6g}: hand the tape's on as they are.",
    )


@looks_for("clipping_missing", "clip_per_variable_vs_global")
def check_clipping(pair: Pair) -> bool:
    """Compare how gradients are clipped."""
    if pair.findings.has("gradient_accumulation", "loss_scale_not_applied"):
        return False
    treated = [_treated(side) for side in pair.sides]
    for side, found in zip(pair.sides, treated, strict=True):
        if found is None and _one_replica(side):
            pair.findings.unexplained.append(
                f"{side.name}: gradients are changed on their way to the optimizer, by more than a "
                f"factor or clipping ({_norms(handed(side)[0])})"
            )
    fit, loop = treated
    if fit is None or loop is None:
        return False
    _note_varying_factors(pair, fit)
    _note_varying_factors(pair, loop)
    if fit.rule.kind != loop.rule.kind or not each_close(
        fit.rule.limit, loop.rule.limit, SAME_LIMIT
    ):
        _compare(pair, fit, loop)
    return True


def _one_replica(side: Side) -> bool:
    updates = handed(side)
    return bool(updates) and replicas(updates[0].applied.optimizer) == 1


def _norms(update: Handed) -> str:
    return (
        f"step {update.number + 1}: norm {global_norm(update.raw):.6g} by the tape, "
        f"{global_norm(update.given):.6g} handed on"
    )


def _note_varying_factors(pair: Pair, found: Treated) -> None:
    reading = pair.losses.get(found.side.name)
    summed = any(update.passes > 1 for update in found.updates)
    if found.way.factor is None and not summed and not (reading and reading.factors):
        least, most = min(found.way.factors), max(found.way.factors)
        pair.findings.unexplained.append(
            f"{found.side.name}: gradients are multiplied by another number in every update "
            f"({least:.6g} to {most:.6g})"
        )


def _compare(pair: Pair, fit: Treated, loop: Treated) -> None:
    """Name what differs, in the first update that it changes."""
    lacks = next((t for t in (fit, loop) if t.rule == NO_CLIPPING), None)
    at_fault = lacks or loop
    other = loop if at_fault is fit else fit
    number = _first_changed(at_fault, other.rule)
    if number is not None:
        _name(pair, at_fault, other.rule, number)
    elif lacks and (number := _first_changed(other, NO_CLIPPING)) is not None:
        # Only the gradients of the other side were ever as long as its limit.
        evidence = [
            by_reading("clipping of gradients", lacks.rule, other.rule),
            by_reading(
                f"norm of all gradients of {other.side.name} in step {number + 1}",
                f"{global_norm(other.multiplied(number)):.6g} before clipping",
                f"{global_norm(reached(other.updates[number])):.6g} after it",
            ),
        ]
        step = other.updates[number].number
        fix = _fix(lacks, other.rule)
        pair.findings.name_cause("clipping_missing", lacks.side.name, step, *evidence, fix=fix)
    else:
        pair.findings.notes.append(
            f"Gradients are clipped otherwise (keras_fit: {fit.rule}; custom_loop: {loop.rule}), "
            "and none that was seen is long enough for that to matter."
        )


def _first_changed(treated: Treated, rule: Rule) -> int | None:
    """The first update that would be another by that rule of clipping."""
    for number, update in enumerate(treated.updates):
        wanted = clip(rule, treated.multiplied(number))
        if not gradients_agree(reached(update), wanted, CLIPPED):
            return number
    return None


def _name(pair: Pair, treated: Treated, rule: Rule, number: int) -> None:
    update, side = treated.updates[number], treated.side
    wanted = clip(rule, treated.multiplied(number))
    pair.findings.name_cause(
        _id(treated.rule, rule),
        side.name,
        update.number,
        by_replay(
            f"norm of all gradients that are applied in step {update.number + 1}",
            global_norm(reached(update)),
            global_norm(clip(treated.rule, treated.multiplied(number))),
            global_norm(wanted),
        ),
        *_weight(side, update, wanted, clips=False),
        by_reading("clipping of gradients", treated.rule, rule),
        fix=_fix(treated, rule),
    )


def _id(found: Rule, right: Rule) -> str:
    if NO_CLIPPING in (found, right):
        return "clipping_missing"
    of_norms = {found.kind, right.kind} == {"global", "per variable"}
    return "clip_per_variable_vs_global" if of_norms else "optimizer_differs"


def _weight(side: Side, update: Handed, wanted: Gradients, *, clips: bool) -> list[Evidence]:
    """The change of a weight, with the gradients that were applied and those that were wanted."""
    scaled = update.step.scale is not None and update.step.scale != 1
    close = next((step for step in side.close if step.number == update.number), None)
    if scaled or not isinstance(close, CompleteStep):
        return []
    correct = replay_update(close, gradients=wanted, clips=clips)
    return list(change_of_weight(update.number, close, replay_update(close), correct))


def _fix(treated: Treated, rule: Rule) -> str:
    """How to clip as the other side does, in its figures."""
    optimizer = type(inner(treated.updates[0].applied.optimizer)).__name__
    argument = f"keras.optimizers.{optimizer}({ARGUMENTS.get(rule.kind)}={rule.limit:.4g})"
    if treated.side.name == FIT:
        return f"Clip as custom_loop does ({rule}): {argument}"
    written = _BY_HAND[rule.kind].format(limit=rule.limit)
    return (
        f"Clip as keras_fit does ({rule}) and apply what was clipped: {written}; or let the "
        f"optimizer do it: {argument}"
    )


CHECKS = (check_rescaled, check_clipping)
