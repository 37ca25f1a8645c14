"""Stage 'loss': which way of computing the loss reproduces what each side's tape differentiated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.batch_matching import true_parts
from twintrain.diagnosis.replay.common_losses import common_losses
from twintrain.diagnosis.replay.compare import all_close_to, each_close
from twintrain.diagnosis.replay.heads import gives_probabilities
from twintrain.diagnosis.replay.loss_search import search
from twintrain.diagnosis.replay.losses import (
    Batch,
    Declared,
    LossPractice,
    LossReading,
    batch_of,
    declared_by,
    mean_loss,
    output_weights,
)
from twintrain.diagnosis.replay.model_calls import compute_dtype, outputs_of
from twintrain.diagnosis.replay.penalties import Penalties, lent
from twintrain.diagnosis.replay.tolerances import SAME_FACTOR, forward_tolerance
from twintrain.diagnosis.result import Evidence
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.handed import handed, hides, way_of_side
from twintrain.diagnosis.stages.lockstep_tables import compared_steps
from twintrain.diagnosis.stages.loss_wording import divisor, fix_of, masks
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
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
    batches = {side.name: _batches(pair, side) for side in pair.sides}
    if not all(batches.values()):
        return True
    factors = {side.name: _undone(side) for side in pair.sides}
    pair.losses = _best_readings(pair, batches, factors)
    agreed = None if pair.losses else _same_unread(pair)
    if agreed:
        pair.findings.compared("loss", f"a loss of the user's own, the same in {agreed} steps")
    for side in () if agreed else pair.sides:
        if side.name not in pair.losses:
            pair.findings.unexplained.append(
                f"{side.name}: no replay gives the loss of step 1 ({_target(side, 0):.6g})"
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
        given = ([as_rows(fit.inputs)], [as_rows(loop.inputs)])
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


def _undone(side: Side) -> dict[int, float]:
    """By number of the step, the factor between the mean of the tape's gradients and what the
    optimizer is given; empty where there is none.
    """
    updates = handed(side)
    way = way_of_side(updates)
    if way is None or each_close(way.factors, 1.0, SAME_FACTOR):
        return {}
    found: dict[int, float] = {}
    start = 0
    for update, factor in zip(updates, way.factors, strict=True):
        found |= dict.fromkeys(range(start, update.number + 1), factor)
        start = update.number + 1
    return found


def _best_readings(
    pair: Pair, batches: dict[str, dict[int, Batch]], factors: dict[str, dict[int, float]]
) -> dict[str, LossReading]:
    """What explains most sides by one declared loss: the losses seen on either side are tried, or
    else common ones.
    """
    best: dict[str, LossReading] = {}
    options = [*declared_by(pair.fit.trace), *declared_by(pair.loop.trace)]
    for declared in options or common_losses():
        readings = {
            side.name: _read(pair, side, declared, batches[side.name], factors[side.name])
            for side in pair.sides
        }
        found = {name: reading for name, reading in readings.items() if reading is not None}
        if len(found) > len(best):
            best = found
        if len(best) == 2:
            break
    return best


def _target(side: Side, number: int) -> float:
    return side.steps[number].target or 0.0


def _batches(pair: Pair, side: Side) -> dict[int, Batch]:
    """What the loss is read from, by number of the step; empty where targets are not known."""
    found = {}
    penalties = _lent(pair, side)
    for number in _chosen(side):
        step = side.steps[number]
        if penalties.regularizers and step.before is None:
            continue  # from which weights they are is not known
        y, w = true_parts(step, side.stream.rows[number], pair.subject.train)
        if y is None:
            return {}
        found[number] = batch_of(step, y, _weights(pair, side, number, y, w))
        if step.before is not None:
            found[number].added += float(penalties.of(step.before))
    return found


def _lent(pair: Pair, side: Side) -> Penalties:
    """What a side may add to its loss by hand: the other's model declares it on its layers."""
    return lent(side.steps[0].model, pair.other(side.name).steps[0].model)


def _chosen(side: Side) -> list[int]:
    """A few steps from the start, and the end of the epoch, where a partial batch stands."""
    last = max(0, min(side.first_epoch, len(side.steps)) - 1)
    usable = [
        i
        for i, step in enumerate(side.steps)
        if step.target is not None and np.isfinite(step.target)
    ]
    return [i for i in sorted({0, 1, 2, 3, last - 1, last}) if i in usable]


def _weights(pair: Pair, side: Side, number: int, y: Any, w: Any) -> Any:
    """The weights a batch should have: from the data, from fit's `class_weight`, else those handed
    to a loss.
    """
    if w is not None:
        return w
    by_class = _class_weight(pair)
    if by_class:
        return _of_classes(by_class, np.asarray(y))
    calls = [call.weights for call in side.steps[number].losses if call.weights is not None]
    if len(calls) != 1 or np.ptp(np.asarray(keras.tree.flatten(calls[0])[0])) == 0:
        return None
    return calls[0]


def _class_weight(pair: Pair) -> dict[int, float]:
    given = (call.arguments.get("class_weight") for call in pair.fit.trace.fits)
    return next((by_class for by_class in given if by_class), {})


def _of_classes(by_class: dict[int, float], labels: np.ndarray) -> np.ndarray:
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(-1)
    else:
        labels = labels.reshape(len(labels))
    return np.array([by_class.get(int(label), 1.0) for label in labels], np.float32)


def _read(
    pair: Pair,
    side: Side,
    declared: Declared,
    batches: dict[int, Batch],
    factors: dict[int, float],
) -> LossReading | None:
    """How a side computes this loss; None where no practice gives what was seen."""
    options = [batches]
    if pair.subject.train.part(2) is None and not _class_weight(pair):
        # Weights that only a loss was handed may be a mask, which the search finds by itself.
        plain = {number: replace(batch, w=None) for number, batch in batches.items()}
        options = [plain, batches] if any(b.w is not None for b in batches.values()) else [plain]
    for option in options:
        practice = _searched(side, declared, option, {})
        undone: dict[int, float] = {}
        if factors and (practice is None or practice.reduction != "mean"):
            scaled = _searched(side, declared, option, factors)
            if scaled is not None and scaled.reduction == "mean":
                practice, undone = scaled, factors
        if practice is None:
            continue
        if all(batch.w is None for batch in option.values()):
            practice = replace(practice, weighted=False)
        return LossReading(declared, practice, option, undone, _lent(pair, side))
    return None


def _searched(
    side: Side, declared: Declared, batches: dict[int, Batch], factors: dict[int, float]
) -> LossPractice | None:
    rel = forward_tolerance(compute_dtype(side.steps[0].model)).rel
    targets = [_target(side, number) * factors.get(number, 1.0) for number in batches]
    return search(declared, list(batches.values()), targets, rel)


def _compare(pair: Pair, fit: LossReading, loop: LossReading) -> None:
    for name in _FIELDS:
        ours, theirs = getattr(fit.practice, name), getattr(loop.practice, name)
        if ours == theirs and (name != "reduction" or _same_factor(fit, loop)):
            continue
        if name == "divisor" and _same_divisor(fit, loop):
            continue
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
            _target(side, number) * reading.factors.get(number, 1.0),
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
        outputs = [part for batch in fit.batches.values() for part in outputs_of(batch.p)]
        probable = gives_probabilities(pair.fit.steps[0].model, outputs)
        wrong = "probabilities" if probable is False else "logits"
        return LOOP if theirs == wrong else FIT
    right = getattr(LossPractice(), name)
    return FIT if ours != right and theirs == right else LOOP


def _declares_weights(fit: Side) -> bool:
    """Whether `fit` was told to divide by the sum of the weights."""
    compiled = getattr(fit.steps[0].model, "_compile_loss", None)
    losses = [one.loss for one in getattr(compiled, "_flat_losses", None) or []]
    return any(getattr(one, "reduction", "") == "mean_with_sample_weight" for one in losses)


CHECKS = (check_losses,)
