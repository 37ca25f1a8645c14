"""Stage 'loss': which way of computing the loss reproduces what each side's tape differentiated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.batch_matching import true_parts
from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.loss_search import search
from twintrain.diagnosis.replay.losses import (
    Batch,
    Declared,
    LossPractice,
    LossReading,
    batch_of,
    common_losses,
    declared_by,
)
from twintrain.diagnosis.replay.model_calls import compute_dtype, outputs_of
from twintrain.diagnosis.replay.tolerances import SAME_FACTOR, SUM_TO_ONE, forward_tolerance
from twintrain.diagnosis.stages.findings import by_replay
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP

# Fields of a practice in the order in which they are compared; those with one pitfall, and it.
_FIELDS = (
    "form",
    "broadcast",
    "masked",
    "weighting",
    "output_weights",
    "regularized",
    "reduction",
)
_IDS = {
    "broadcast": "target_broadcast",
    "masked": "mask_ignored",
    "output_weights": "loss_weights_ignored",
    "regularized": "regularization_losses_missing",
    "reduction": "loss_reduction",
}


@looks_for(
    *_IDS.values(),
    "probabilities_as_logits",
    "label_encoding_differs",
    "weights_ignored",
    "weighted_mean_normalization",
)
def check_losses(pair: Pair) -> bool:
    """Find the practice of each side and name what differs between them."""
    batches = {side.name: _batches(pair, side) for side in pair.sides}
    if not all(batches.values()):
        return True
    pair.losses = _best_readings(pair, batches)
    for side in pair.sides:
        if side.name not in pair.losses:
            pair.findings.unexplained.append(
                f"{side.name}: no replay gives the loss of step 1 ({_target(side, 0):.6g})"
            )
    if len(pair.losses) == 2:
        _compare(pair, pair.losses[FIT], pair.losses[LOOP])
    return True


def _best_readings(pair: Pair, batches: dict[str, dict[int, Batch]]) -> dict[str, LossReading]:
    """What explains most sides by one declared loss: the losses seen on either side are tried, or
    else common ones.
    """
    best: dict[str, LossReading] = {}
    options = [*declared_by(pair.fit.trace), *declared_by(pair.loop.trace)]
    for declared in options or common_losses():
        readings = {side.name: _read(side, declared, batches[side.name]) for side in pair.sides}
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
    for number in _chosen(side):
        step = side.steps[number]
        y, w = true_parts(step, side.stream.rows[number], pair.subject.train)
        if y is None:
            return {}
        found[number] = batch_of(step, y, _weights(pair, side, number, y, w))
    return found


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
    for call in pair.fit.trace.fits:
        by_class = call.arguments.get("class_weight")
        if by_class:
            return _of_classes(by_class, np.asarray(y))
    calls = [call.weights for call in side.steps[number].losses if call.weights is not None]
    if len(calls) != 1 or np.ptp(np.asarray(keras.tree.flatten(calls[0])[0])) == 0:
        return None
    return calls[0]


def _of_classes(by_class: dict[int, float], labels: np.ndarray) -> np.ndarray:
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(-1)
    else:
        labels = labels.reshape(len(labels))
    return np.array([by_class.get(int(label), 1.0) for label in labels], np.float32)


def _read(side: Side, declared: Declared, batches: dict[int, Batch]) -> LossReading | None:
    rel = forward_tolerance(compute_dtype(side.steps[0].model)).rel
    targets = [_target(side, number) for number in batches]
    practice = search(declared, list(batches.values()), targets, rel)
    if practice is None:
        return None
    if all(batch.w is None for batch in batches.values()):
        practice = replace(practice, weighting="none")
    return LossReading(declared, practice, batches)


def _compare(pair: Pair, fit: LossReading, loop: LossReading) -> None:
    for name in _FIELDS:
        ours, theirs = getattr(fit.practice, name), getattr(loop.practice, name)
        if ours == theirs and (name != "reduction" or _same_factor(fit, loop)):
            continue
        if _at_fault(name, ours, theirs, fit) == FIT:
            _name(pair, pair.fit, name, (fit, ours), (loop, theirs))
        else:
            _name(pair, pair.loop, name, (loop, theirs), (fit, ours))


def _same_factor(fit: LossReading, loop: LossReading) -> bool:
    return each_close(fit.practice.factor, loop.practice.factor, SAME_FACTOR)


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
    changes = {name: right}
    if name == "weighting" and right == "none":
        changes = {}  # without weights there is nothing to replay
    elif name == "reduction":
        changes["factor"] = other.practice.factor
    number = next(iter(reading.batches))
    evidence = by_replay(
        "loss of the step",
        _target(side, number),
        reading.replay(number),
        reading.replay(number, replace(reading.practice, **changes)),
    )
    pair.findings.name_cause(_id(name, {value, right}), side.name, number, evidence)


def _id(name: str, values: set[Any]) -> str:
    if name == "form":
        number = "class number" in values
        return "label_encoding_differs" if number else "probabilities_as_logits"
    if name == "weighting":
        return "weights_ignored" if "none" in values else "weighted_mean_normalization"
    return _IDS[name]


def _at_fault(name: str, ours: object, theirs: object, fit: LossReading) -> str:
    if name == "weighting":
        return FIT if ours == "none" or theirs == "by count" else LOOP
    if name == "form" and "class number" not in (ours, theirs):
        # Declared wrongly, fit computes as declared; the outputs say what they are.
        wrong = (
            "logits" if _are_probabilities(next(iter(fit.batches.values()))) else "probabilities"
        )
        return LOOP if theirs == wrong else FIT
    right = getattr(LossPractice(), name)
    return FIT if ours != right and theirs == right else LOOP


def _are_probabilities(batch: Batch) -> bool:
    p = np.concatenate([part.reshape(-1, part.shape[-1]) for part in outputs_of(batch.p)])
    if not ((p >= 0).all() and (p <= 1).all()):
        return False
    return p.shape[-1] == 1 or each_close(p.sum(-1), 1, SUM_TO_ONE)


CHECKS = (check_losses,)
