"""Stage 'loss': which way of computing the loss reproduces what each side's tape differentiated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twintrain.diagnosis.replay.compare import all_close_to, each_close
from twintrain.diagnosis.replay.losses import (
    LossPractice,
    LossReading,
    mean_loss,
    output_weights,
)
from twintrain.diagnosis.replay.model_calls import compute_dtype, outputs_of
from twintrain.diagnosis.replay.tolerances import SAME_FACTOR, forward_tolerance
from twintrain.diagnosis.result import Evidence
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.handed import handed, hides
from twintrain.diagnosis.stages.lockstep_tables import act_alike, compared_steps
from twintrain.diagnosis.stages.loss_heads import each_as_it_ends, probabilities_given
from twintrain.diagnosis.stages.loss_reading import read_losses, target_of
from twintrain.diagnosis.stages.loss_wording import divisor, fix_of, masks
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.stages.targets_beside import read_by_variables
from twintrain.diagnosis.watch.frozen_rows import as_rows
from twintrain.diagnosis.watch.trace import FIT, LOOP

# Fields of a practice in the order in which they are compared; those with one pitfall, and it.
_FIELDS = (
    "form",
    "broadcast",
    "mask",
    "weighted",
    "divisor",
    "output_weights",
    "regularized",
    "reduction",
)
_IDS = {
    "broadcast": "target_broadcast",
    "mask": "mask_ignored",
    "weighted": "weights_ignored",
    "divisor": "weighted_mean_normalization",
    "output_weights": "loss_weights_ignored",
    "regularized": "regularization_losses_missing",
    "reduction": "loss_reduction",
}


@looks_for(
    *_IDS.values(),
    "probabilities_as_logits",
    "label_encoding_differs",
)
def check_losses(pair: Pair) -> bool:
    """Find the practice of each side and name what differs between them."""
    readings = read_losses(pair)
    if readings is None:
        return True
    pair.losses = readings
    agreed = None if pair.losses else _same_unread(pair)
    if agreed:
        pair.findings.compared("loss", f"a loss of the user's own, the same in {agreed} steps")
    for side in () if agreed else pair.sides:
        if side.name not in pair.losses:
            pair.losses = read_by_variables(pair, side) or pair.losses
        if side.name not in pair.losses:
            pair.findings.unexplained.append(
                f"{side.name}: no replay gives the loss of step 1 ({target_of(side, 0):.6g})"
            )
    if len(pair.losses) == 2:
        _compare(pair, pair.losses[FIT], pair.losses[LOOP])
    return True


def _same_unread(pair: Pair) -> int:
    """In how many steps, from equal weights, inputs and outputs, both sides had the same loss; 0
    where it differed in one.
    """
    found = 0
    for fit, loop in compared_steps(pair):
        tolerance = forward_tolerance(compute_dtype(fit.model))
        like = pair.subject.train.part(0)
        given = ([as_rows(fit.inputs, like)], [as_rows(loop.inputs, like)])
        if not (
            all_close_to(*given)
            and all_close_to(fit.before, loop.before)
            and all_close_to(outputs_of(fit.outputs), outputs_of(loop.outputs), tolerance)
        ):
            continue
        if not each_close(fit.target, loop.target, tolerance):
            return 0
        found += 1
    return found


def _compare(pair: Pair, fit: LossReading, loop: LossReading) -> None:
    for name in _FIELDS:
        ours, theirs = getattr(fit.practice, name), getattr(loop.practice, name)
        if ours == theirs and (name != "reduction" or _same_factor(fit, loop)):
            continue
        if name == "divisor" and _same_divisor(fit, loop):
            continue
        if name == "form" and (each_as_it_ends(pair, fit, loop) or act_alike(pair)):
            continue  # one side has in its loss what the other has in its model
        if name == "mask" and masks(fit) and masks(loop):
            pair.findings.unexplained.append(
                f"keras_fit and custom_loop leave other positions out of the loss: {_kept(fit)} of "
                f"those of step 1 count in keras_fit, {_kept(loop)} in custom_loop"
            )
            continue
        if name == "reduction" and _cannot_tell(pair, fit, loop):
            continue
        if _at_fault(pair, name, fit, loop) == FIT:
            _name(pair, pair.fit, name, (fit, ours), (loop, theirs))
        else:
            _name(pair, pair.loop, name, (loop, theirs), (fit, ours))


def _kept(reading: LossReading) -> int:
    """How many values count in the first step that was read."""
    found = mean_loss(reading.declared, reading.practice, next(iter(reading.batches.values())))
    return 0 if found is None else int(found[1])


def _same_factor(fit: LossReading, loop: LossReading) -> bool:
    return each_close(fit.practice.factor, loop.practice.factor, SAME_FACTOR)


def _cannot_tell(pair: Pair, fit: LossReading, loop: LossReading) -> bool:
    """Whether a side may scale its loss and scale its gradients back: all of these are clipped."""
    for side, reading in ((pair.fit, fit), (pair.loop, loop)):
        factor = reading.practice.factor
        if reading.practice.reduction == "constant" and hides(handed(side), 1 / factor):
            pair.findings.unexplained.append(
                f"{side.name}: its loss is {factor:.6g} times the mean; whether its gradients are "
                "scaled back cannot be seen, because all of them are clipped"
            )
            return True
    return False


def _same_divisor(fit: LossReading, loop: LossReading) -> bool:
    """Where nothing is left out, all positions count."""
    found = {fit.practice.divisor, loop.practice.divisor}
    return found == {"positions that count", "positions"} and not (masks(fit) and masks(loop))


def _name(
    pair: Pair,
    side: Side,
    name: str,
    observed: tuple[LossReading, Any],
    correct: tuple[LossReading, Any],
) -> None:
    """Name a field of the practice, in the first step that was read.

    Args:
        pair: findings go here.
        side: that has the mistake.
        name: of the field.
        observed: reading of this side, and its value of the field.
        correct: the same of the other side.
    """
    reading, value = observed
    other, right = correct
    number = next(iter(reading.batches))
    changes = {name: right}
    if name == "reduction":
        changes["factor"] = other.practice.factor
    evidence: list[Evidence] = [
        by_reading(f"weights of the rows in the loss of step {number + 1}", "not used", "used")
        if name == "weighted" and reading.batches[number].w is None
        else by_replay(
            f"loss of step {number + 1}",
            target_of(side, number) * reading.factors.get(number, 1.0),
            reading.replay(number),
            reading.replay(number, replace(reading.practice, **changes)),
        )
    ]
    if name == "divisor":
        evidence.append(
            by_reading(
                f"divisor of the loss in step {number + 1}",
                divisor(reading, number),
                divisor(reading, number, right),
            )
        )
    if name == "regularized":
        what = "share of the layers' losses that is added"
        evidence.append(by_reading(what, float(value), float(right)))
    if name == "output_weights":
        used = (
            ", ".join(f"{weight:g}" for weight in output_weights(one.declared, one.practice))
            for one in (reading, other)
        )
        evidence.append(by_reading("weights of the outputs' losses", *used))
    pair.findings.name_cause(
        _id(name, {value, right}),
        side.name,
        number,
        *evidence,
        fix=fix_of(name, reading, other, pair.other(side.name).name),
    )


def _id(name: str, values: set[Any]) -> str:
    if name == "form":
        number = "class number" in values
        return "label_encoding_differs" if number else "probabilities_as_logits"
    return _IDS[name]


def _at_fault(pair: Pair, name: str, fit: LossReading, loop: LossReading) -> str:
    ours, theirs = getattr(fit.practice, name), getattr(loop.practice, name)
    if name == "divisor" and ours == "weights" and _declares_weights(pair.fit):
        return LOOP
    if name == "weighted":
        return LOOP if ours else FIT
    if name == "mask" and masks(fit) != masks(loop):
        return LOOP if masks(fit) else FIT
    if name == "form" and "class number" not in (ours, theirs):
        # Declared wrongly, fit computes as declared; the outputs say what they are.
        wrong = "probabilities" if probabilities_given(pair.fit, fit) is False else "logits"
        return LOOP if theirs == wrong else FIT
    right = getattr(LossPractice(), name)
    return FIT if ours != right and theirs == right else LOOP


def _declares_weights(fit: Side) -> bool:
    """Whether `fit` was told to divide by the sum of the weights."""
    compiled = getattr(fit.steps[0].model, "_compile_loss", None)
    losses = [one.loss for one in getattr(compiled, "_flat_losses", None) or []]
    return any(getattr(one, "reduction", "") == "mean_with_sample_weight" for one in losses)


CHECKS = (check_losses,)
