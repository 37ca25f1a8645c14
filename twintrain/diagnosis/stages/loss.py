"""Stage 'loss': which way of computing the loss reproduces what each side's tape differentiated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.batch_matching import true_parts
from twintrain.diagnosis.replay.losses import (
    Batch,
    Declared,
    LossPractice,
    batch_of,
    common_losses,
    declared_by,
    search,
    total_loss,
)
from twintrain.diagnosis.stages.findings import FIT, LOOP, Pair, Side, shown
from twintrain.diagnosis.stages.forward import LOOSE, step_dtype

STAGE = "loss"
_IDS = {
    "broadcast": "target_broadcast",
    "masked": "mask_ignored",
    "output_weights": "loss_weights_ignored",
    "regularized": "regularization_losses_missing",
    "reduction": "loss_reduction",
}


@dataclass
class LossReading:
    """How one side computes its loss: what it is declared as, the practice, and the batches it was
    read from.
    """

    declared: Declared
    practice: LossPractice
    batches: dict[int, Batch]

    def replay(self, number: int, practice: LossPractice | None = None) -> float:
        """The loss of a step, by this or another practice."""
        return float(total_loss(self.declared, practice or self.practice, self.batches[number]))


def read_losses(pair: Pair) -> dict[str, LossReading]:
    """Find the practice of each side and name what differs between them."""
    pair.ruled_out |= {
        *_IDS.values(),
        "probabilities_as_logits",
        "label_encoding_differs",
        "weights_ignored",
        "weighted_mean_normalization",
    }
    batches = {side.name: _batches(pair, side) for side in pair.sides}
    if not all(batches.values()):
        return {}
    best: dict[str, LossReading] = {}
    options = [*declared_by(pair.fit.trace), *declared_by(pair.loop.trace)]
    for declared in options or common_losses():
        readings = {side.name: _read(side, declared, batches[side.name]) for side in pair.sides}
        found = {name: reading for name, reading in readings.items() if reading is not None}
        if len(found) > len(best):
            best = found
        if len(best) == 2:
            break
    for side in pair.sides:
        if side.name not in best:
            pair.unexplained.append(
                f"{side.name}: no replay gives the loss of step 1 ({_target(side, 0):.6g})"
            )
    if len(best) == 2:
        _compare(pair, best[FIT], best[LOOP])
    return best


def _target(side: Side, number: int) -> float:
    return side.steps[number].target or 0.0


def _batches(pair: Pair, side: Side) -> dict[int, Batch]:
    chosen = _chosen(side)
    found = {}
    for number in chosen:
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
            labels = np.asarray(y)
            labels = (
                labels.argmax(-1)
                if labels.ndim > 1 and labels.shape[-1] > 1
                else labels.reshape(len(labels))
            )
            return np.array([by_class.get(int(label), 1.0) for label in labels], np.float32)
    calls = [call.weights for call in side.steps[number].losses if call.weights is not None]
    weights = calls[0] if len(calls) == 1 else None
    if weights is None or np.ptp(np.asarray(keras.tree.flatten(weights)[0])) == 0:
        return None
    return weights


def _read(side: Side, declared: Declared, batches: dict[int, Batch]) -> LossReading | None:
    rel = LOOSE.get(step_dtype(side.steps[0]), 2e-5)
    practice = search(
        declared, list(batches.values()), [_target(side, number) for number in batches], rel
    )
    if practice is None:
        return None
    if all(batch.w is None for batch in batches.values()):
        practice = replace(practice, weighting="none")
    return LossReading(declared, practice, batches)


def _compare(pair: Pair, fit: LossReading, loop: LossReading) -> None:
    for name in (
        "form",
        "broadcast",
        "masked",
        "weighting",
        "output_weights",
        "regularized",
        "reduction",
    ):
        ours, theirs = getattr(fit.practice, name), getattr(loop.practice, name)
        same_factor = np.isclose(fit.practice.factor, loop.practice.factor, rtol=1e-3)
        if ours == theirs and (name != "reduction" or same_factor):
            continue
        id_, at_fault = _id(name, ours, theirs), _at_fault(name, ours, theirs, fit)
        side, reading, correct = (
            (pair.fit, fit, theirs) if at_fault == FIT else (pair.loop, loop, ours)
        )
        changes = {name: correct}
        if name == "weighting" and correct == "none":
            changes = {}
        elif name == "reduction":
            changes["factor"] = (loop if at_fault == FIT else fit).practice.factor
        number = next(iter(reading.batches))
        pair.name_cause(
            id_,
            at_fault,
            STAGE,
            number,
            shown(
                "loss of the step",
                _target(side, number),
                reading.replay(number),
                reading.replay(number, replace(reading.practice, **changes)),
            ),
        )


def _id(name: str, ours: str, theirs: str) -> str:
    if name == "form":
        return (
            "label_encoding_differs"
            if "class number" in (ours, theirs)
            else "probabilities_as_logits"
        )
    if name == "weighting":
        return "weights_ignored" if "none" in (ours, theirs) else "weighted_mean_normalization"
    return _IDS[name]


def _at_fault(name: str, ours: object, theirs: object, fit: LossReading) -> str:
    if name == "weighting":
        return FIT if ours == "none" or (theirs == "by count") else LOOP
    if name == "form" and "class number" not in (ours, theirs):
        # Declared wrongly, fit computes as declared; the outputs say what they are.
        batch = next(iter(fit.batches.values()))
        p = np.concatenate(
            [
                np.asarray(keras.ops.cast(t, "float32")).reshape(-1, t.shape[-1])
                for t in keras.tree.flatten(batch.p)
            ]
        )
        share = (
            (p >= 0).all()
            and (p <= 1).all()
            and (p.shape[-1] == 1 or np.allclose(p.sum(-1), 1, atol=1e-2))
        )
        wrong = "logits" if share else "probabilities"
        return LOOP if theirs == wrong else FIT
    return (
        FIT
        if ours != getattr(LossPractice(), name) and theirs == getattr(LossPractice(), name)
        else LOOP
    )
