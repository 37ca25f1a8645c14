"""The figures of batches that a model answered: in training, in evaluation, or once more from other
weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.declared_losses import Declared
from twintrain.diagnosis.replay.definitions import (
    Answers,
    Definition,
    definitions_of,
    look_at,
)
from twintrain.diagnosis.replay.figures import Quantity
from twintrain.diagnosis.replay.losses import LossReading
from twintrain.diagnosis.replay.model_calls import call_model, weights_of
from twintrain.diagnosis.watch.logs import figure_name
from twintrain.diagnosis.watch.trace import Arrays, Evaluation, Step


@dataclass
class Answered:
    """A batch and what a model made of it.

    Attributes:
        y, w: targets and weights as the data has them; w is None where there are none.
        outputs: nest of tensors.
        size: rows.
        added: the losses of the layers.
        loss: what was differentiated; None outside of training.
    """

    y: Any
    w: Any
    outputs: Any
    size: int
    added: float
    loss: float | None = None


Epochs = list[list[Answered]]
# Targets and weights of a batch.
Parts = tuple[Any, Any]


def answered_in_training(steps: Sequence[Step], parts: Sequence[Parts]) -> list[Answered]:
    """Steps as they were seen."""
    return [
        Answered(y, w, step.outputs, step.size, step.layer_losses, step.target or 0.0)
        for step, (y, w) in zip(steps, parts, strict=True)
    ]


def answered_from(
    fed: Sequence[Step | Evaluation], parts: Sequence[Parts], weights: Arrays
) -> list[Answered]:
    """Batches from these weights: evaluations with the outputs that were seen, steps answered once
    more.
    """
    found = []
    model = fed[0].model
    with weights_of(model, weights):
        for batch, (y, w) in zip(fed, parts, strict=True):
            outputs = batch.outputs
            if isinstance(batch, Step):
                outputs = call_model(model, batch.inputs, False)
            elif model.losses:
                call_model(model, batch.inputs, False)  # what layers add depends on the inputs
            added = float(sum(float(loss) for loss in model.losses))
            found.append(Answered(y, w, outputs, batch.size, added))
    return found


class OneOutput(NamedTuple):
    """An output of a batch: targets and outputs, weights, and the mask; either may be None."""

    y: np.ndarray
    p: np.ndarray
    w: np.ndarray | None
    mask: np.ndarray | None
    size: int

    def answers(self, weighted: bool, masked: bool) -> Answers:
        """With these counts."""
        chosen = [self.w] * weighted + [self.mask] * masked
        given = [part for part in chosen if part is not None]
        if len(given) == 2:
            w, mask = given
            return Answers(self.y, self.p, mask * w.reshape(w.shape + (1,) * (mask.ndim - w.ndim)))
        return Answers(self.y, self.p, given[0] if given else None)


def figures_of(
    epochs: Epochs,
    reading: LossReading | None,
    names: Sequence[str],
    from_logits: bool,
    objects: Sequence[Definition],
) -> Iterator[Quantity]:
    """The figures of every output besides its loss, in all ways to compute them, and the mean of
    the accuracies.

    Args:
        epochs: the batches.
        reading: how the side computes its loss, where that is known.
        names: of the outputs.
        from_logits: some loss says that it takes logits.
        objects: what metric objects compute.
    """
    accuracies = []
    for number, name in enumerate(names):
        batches = _one_output(epochs, reading, number, len(names))
        flat = [batch.answers(False, False) for epoch in batches for batch in epoch]
        output = look_at(flat, _kind(reading, number), from_logits) if flat else None
        if output is None:
            continue
        for definition in definitions_of(output):
            figure = definition.figure
            if len(names) > 1:
                definition = replace(definition, figure=figure_name(f"{name} {figure}").figure)
            found = list(_counted(batches, definition))
            if found and figure == "accuracy" and definition.usual:
                accuracies.append(found[0])
            yield from found
        for definition in objects:
            yield from _counted(batches, definition)
    if len(accuracies) > 1:
        yield _mean_of(accuracies)


def _kind(reading: LossReading | None, number: int) -> str:
    """Of an output's loss; of a loss that is not known, outputs beyond 0 and 1 are logits."""
    kinds = reading.declared.kinds if reading else []
    return kinds[number] if len(kinds) > number else "binary"


def _one_output(
    epochs: Epochs, reading: LossReading | None, number: int, outputs: int
) -> list[list[OneOutput]]:
    """One output of every batch; nothing where targets and outputs cannot be told apart."""
    declared = reading.declared if reading else None
    found = [
        [_part_of(batch, declared, number, outputs) for batch in batches] for batches in epochs
    ]
    if any(part is None for parts in found for part in parts):
        return []
    return [[part for part in parts if part is not None] for parts in found]


def _part_of(
    batch: Answered, declared: Declared | None, number: int, outputs: int
) -> OneOutput | None:
    targets, answers = keras.tree.flatten(batch.y), keras.tree.flatten(batch.outputs)
    if declared is not None and outputs > 1:
        targets, answers = declared.pick(batch.y), declared.pick(batch.outputs)
    if len(targets) <= number or len(answers) <= number or len(answers) != outputs:
        return None
    p = answers[number]
    values = np.asarray(tf.cast(p, tf.float32))
    mask = getattr(p, "_keras_mask", None)
    mask = None if mask is None else np.asarray(mask, np.float32)
    if mask is not None and mask.shape != values.shape[:-1]:
        mask = None
    return OneOutput(
        np.asarray(targets[number]), values, _weights(batch.w, number, mask), mask, batch.size
    )


def _weights(w: Any, number: int, mask: np.ndarray | None) -> np.ndarray | None:
    if w is None:
        return None
    flat = keras.tree.flatten(w)
    found = np.asarray(flat[number] if len(flat) > number else flat[0], np.float32)
    if found.ndim > 1 and found.shape[-1] == 1 and (mask is None or found.shape != mask.shape):
        return found.reshape(found.shape[:-1])
    return found


def _counted(batches: list[list[OneOutput]], definition: Definition) -> Iterator[Quantity]:
    """A figure as every row and position counts alike, by weights, and with padding."""
    first = next(batch for epoch in batches for batch in epoch)
    for weighted, masked, said, usual in (
        (False, True, "", True),
        (True, True, ", weighted by the sample weights", True),
        (False, False, ", padding counted", False),
    ):
        if (weighted and first.w is None) or (not masked and first.mask is None):
            continue
        try:
            sums = [
                [definition.sums(batch.answers(weighted, masked)) for batch in epoch]
                for epoch in batches
            ]
        except Exception:  # noqa: S112 - a metric of the user's own, or shapes that do not fit
            continue
        yield Quantity(
            definition.figure,
            definition.said + said,
            definition.usual and usual,
            sums,
            [[batch.size for batch in epoch] for epoch in batches],
            definition.finish,
            remedy=definition.remedy,
        )


def _mean_of(quantities: list[Quantity]) -> Quantity:
    """The mean of the figures of several outputs."""
    epochs = []
    for epoch in range(len(quantities[0].epochs)):
        batches = zip(*(quantity.epochs[epoch] for quantity in quantities), strict=True)
        epochs.append([np.stack(parts) for parts in batches])

    def finish(sums: np.ndarray) -> float:
        found = [q.finish(part) for q, part in zip(quantities, sums, strict=True)]
        return float(np.mean(found))

    said = "mean over the outputs"
    return Quantity("accuracy", said, False, epochs, quantities[0].sizes, finish)
