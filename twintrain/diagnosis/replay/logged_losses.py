"""What a log may call the loss of some batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.answered import Answered, Epochs
from twintrain.diagnosis.replay.declared_losses import Declared
from twintrain.diagnosis.replay.figures import Quantity
from twintrain.diagnosis.replay.losses import Batch, LossPractice, LossReading, total_loss
from twintrain.diagnosis.watch.logs import figure_name

# The loss of a batch, and how much it counts.
Value = Callable[[Answered], tuple[float, float]]

TRAINED = "as it is trained on"
WITHOUT_LAYERS = "without the losses of the layers"


def losses_of(
    epochs: Epochs, reading: LossReading | None, names: Sequence[str]
) -> Iterator[Quantity]:
    """The loss in all ways to compute it, and that of each output.

    Args:
        epochs: the batches.
        reading: how the side computes its loss, where that is known.
        names: of the outputs.
    """
    batches = [batch for epoch in epochs for batch in epoch]
    for said, usual, value in _values(batches, reading):
        yield from _quantity("loss", said, usual, epochs, value)
    if reading is not None and len(names) > 1 and len(reading.declared.values) == len(names):
        for number, name in enumerate(names):
            figure = figure_name(f"{name} loss").figure
            yield from _of_output(figure, number, epochs, reading.declared)


def _values(
    batches: list[Answered], reading: LossReading | None
) -> Iterator[tuple[str, bool, Value]]:
    trained = all(batch.loss is not None for batch in batches)
    added = any(batch.added for batch in batches)
    if trained:
        yield TRAINED, True, lambda b: (b.loss or 0.0, b.size)
        if added:
            yield WITHOUT_LAYERS, False, lambda b: ((b.loss or 0.0) - b.added, b.size)
    if reading is None:
        return
    declared, practice = reading.declared, reading.practice
    if not trained:
        yield TRAINED, True, _by(declared, practice)
        yield "as declared", True, _by(declared, LossPractice())
        practice = LossPractice()
    for said, other in _changes(batches, declared, practice):
        yield said, False, _by(declared, other)
        if added and other.regularized:
            without = replace(other, regularized=False)
            yield f"{said}, {WITHOUT_LAYERS}", False, _by(declared, without)
    if any(batch.w is not None for batch in batches):
        yield (
            "divided by the sum of the weights",
            False,
            _by(declared, replace(practice, weighted=True, divisor="weights"), by_weight=True),
        )


def _changes(
    batches: list[Answered], declared: Declared, practice: LossPractice
) -> Iterator[tuple[str, LossPractice]]:
    """Losses that differ in one thing from how a side trains, or else evaluates."""
    if any(batch.added for batch in batches) and any(batch.loss is None for batch in batches):
        yield WITHOUT_LAYERS, replace(practice, regularized=False)
    if any(batch.w is not None for batch in batches):
        unweighted = not practice.weighted
        said = "with the sample weights" if unweighted else "without the sample weights"
        yield said, replace(practice, weighted=unweighted)
    elif practice.weighted:
        yield "without the class weights", replace(practice, weighted=False)
    if any(weight != 1.0 for weight in declared.weights):
        yield "without the weights of the outputs", replace(practice, output_weights=False)
    if practice.mask != "none" and any(
        getattr(part, "_keras_mask", None) is not None
        for part in tf.nest.flatten(batches[0].outputs)
    ):
        yield "padding counted", replace(practice, mask="none")


def _by(declared: Declared, practice: LossPractice, by_weight: bool = False) -> Value:
    def value(b: Answered) -> tuple[float, float]:
        batch = Batch(b.y, b.outputs, b.w, b.added, b.size)
        counts = float(np.sum(tf.nest.flatten(b.w)[0])) if by_weight else b.size
        return float(total_loss(declared, practice, batch)), counts

    return value


def _of_output(figure: str, number: int, epochs: Epochs, declared: Declared) -> Iterator[Quantity]:
    """The loss of one output, as fit says it and times its weight."""
    alone = replace(
        declared,
        values=[declared.values[number]],
        kinds=[declared.kinds[number]],
        weights=[1.0],
        pick=lambda nest: [declared.pick(nest)[number]],
    )
    weight = declared.weights[number]
    plain = LossPractice(regularized=False)
    yield from _quantity(figure, "by itself", True, epochs, _by(alone, plain))
    if weight != 1.0:
        times = LossPractice(regularized=False, reduction="constant", factor=weight)
        yield from _quantity(figure, "times its weight", False, epochs, _by(alone, times))


def _quantity(
    figure: str, said: str, usual: bool, epochs: Epochs, value: Value
) -> Iterator[Quantity]:
    """Nothing where the loss cannot be formed of these batches."""
    try:
        found = [[value(batch) for batch in epoch] for epoch in epochs]
    except Exception:  # of the user's own loss, or of shapes that do not go together
        return
    yield Quantity(
        figure,
        said,
        usual,
        [[np.array([loss * count, count], np.float64) for loss, count in e] for e in found],
        [[batch.size for batch in epoch] for epoch in epochs],
        lambda sums: float(sums[0] / sums[1]) if sums[1] else float("nan"),
    )
