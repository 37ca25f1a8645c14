"""Reads off how each side computes its loss: the way that reproduces what its tape
differentiated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.batch_matching import true_parts
from twintrain.diagnosis.replay.common_losses import common_losses
from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.declared_losses import Declared, declared_by
from twintrain.diagnosis.replay.loss_search import search
from twintrain.diagnosis.replay.losses import Batch, LossPractice, LossReading, batch_of
from twintrain.diagnosis.replay.model_calls import compute_dtype
from twintrain.diagnosis.replay.penalties import Penalties, lent
from twintrain.diagnosis.replay.tolerances import SAME_FACTOR, forward_tolerance
from twintrain.diagnosis.stages.handed import handed, way_of_side
from twintrain.diagnosis.stages.pair import Pair, Side


def read_losses(pair: Pair) -> dict[str, LossReading] | None:
    """How each side computes its loss, where that can be read.

    What explains most sides by one declared loss is taken: the losses seen on either side are
    tried, or else common ones.

    Returns:
        By side; None where the targets of a side are not known.
    """
    penalties = {side.name: _lent(pair, side) for side in pair.sides}
    batches = {side.name: _batches(pair, side, penalties[side.name]) for side in pair.sides}
    if not all(batches.values()):
        return None
    factors = {side.name: _undone(side) for side in pair.sides}
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
    return {name: replace(reading, lent=penalties[name]) for name, reading in best.items()}


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


def target_of(side: Side, number: int) -> float:
    """What the tape of a step differentiated."""
    return side.steps[number].target or 0.0


def _batches(pair: Pair, side: Side, penalties: Penalties) -> dict[int, Batch]:
    """What the loss is read from, by number of the step; empty where targets are not known."""
    found = {}
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
        return LossReading(declared, practice, option, undone)
    return None


def _searched(
    side: Side, declared: Declared, batches: dict[int, Batch], factors: dict[int, float]
) -> LossPractice | None:
    rel = forward_tolerance(compute_dtype(side.steps[0].model)).rel
    targets = [target_of(side, number) * factors.get(number, 1.0) for number in batches]
    return search(declared, list(batches.values()), targets, rel)
