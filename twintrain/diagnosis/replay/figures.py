"""Replays figures: what a log should say of an epoch, and what the known mistakes would make it
say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.losses import Batch, Declared, LossPractice, mean_loss
from twintrain.diagnosis.replay.model_calls import call_model, weights_of
from twintrain.diagnosis.replay.tolerances import FIGURE
from twintrain.diagnosis.watch.trace import Evaluation, Step

# Ways of averaging a figure over an epoch, the right one first.
RIGHT = "mean over examples"
BATCHES = "mean over batches"
RUNNING = "never reset"
RUNNING_BATCHES = "never reset, mean over batches"
AFTER = "after the updates"
WAYS = (RIGHT, BATCHES, RUNNING, RUNNING_BATCHES, AFTER)


@dataclass
class Quantity:
    """One figure, batch by batch, for two epochs.

    Attributes:
        name: 'loss', 'loss without regularization', 'accuracy', 'mean absolute error' or 'mean
            squared error'.
        epochs: per epoch, values and sizes of the batches.
        after: per epoch, the figure over the epoch's batches from the weights the epoch ended with,
            where known.
    """

    name: str
    epochs: list[tuple[list[float], list[int]]]
    after: list[list[float]] = field(default_factory=list)

    def series(self) -> dict[str, list[list[float]]]:
        """What a log would hold, for each way of averaging; more than one form may be possible."""
        values = [value for epoch in self.epochs for value in epoch[0]]
        sizes = [size for epoch in self.epochs for size in epoch[1]]
        ends = np.cumsum([len(epoch[0]) for epoch in self.epochs])
        return {
            RIGHT: [[_mean(v, n) for v, n in self.epochs]],
            BATCHES: [[_mean(v) for v, _ in self.epochs]],
            RUNNING: [[_mean(values[:end], sizes[:end]) for end in ends]],
            RUNNING_BATCHES: [[_mean(values[:end]) for end in ends]],
            AFTER: self.after,
        }


def _mean(values: Sequence[float], sizes: Sequence[int] | None = None) -> float:
    return float(np.average(values, weights=sizes)) if len(values) else float("nan")


def match(log: list[float], quantities: list[Quantity]) -> tuple[str, Quantity] | None:
    """The way of averaging, and the quantity, that gives a logged series; the right way is tried
    first.
    """
    for way in WAYS:
        for quantity in quantities:
            for wanted in quantity.series()[way]:
                if len(wanted) == len(log) and each_close(log, wanted, FIGURE):
                    return way, quantity
    return None


def training_quantities(
    steps: list[Step], targets: list[Any], first_epoch: int, declared: Declared | None
) -> list[Quantity]:
    """The figures of training, from the losses and outputs seen in each step."""
    epochs = [steps[:first_epoch], steps[first_epoch:]]
    true = [targets[:first_epoch], targets[first_epoch:]]
    found = [
        _quantity("loss", epochs, true, lambda y, step: step.target or 0.0),
        _quantity(
            "loss without regularization",
            epochs,
            true,
            lambda y, step: (step.target or 0.0) - step.layer_losses,
        ),
    ]
    for name, figure in _figures(steps[0].outputs, targets[0]).items():
        found.append(_quantity(name, epochs, true, _of_outputs(figure)))
    for quantity in found:
        quantity.after = _after(quantity.name, epochs, true, declared)
    return found


def _quantity(
    name: str,
    epochs: Sequence[Sequence[Any]],
    true: list[list[Any]],
    value: Callable[[Any, Any], float],
) -> Quantity:
    """A figure of every batch: `value(targets, step or evaluation)`."""
    found = []
    for fed, ys in zip(epochs, true, strict=True):
        values = [value(y, batch) for y, batch in zip(ys, fed, strict=True)]
        found.append((values, [batch.size for batch in fed]))
    return Quantity(name, found)


def _of_outputs(figure: Callable[[Any, Any], float]) -> Callable[[Any, Any], float]:
    return lambda y, step: figure(y, step.outputs)


def _after(
    name: str, epochs: list[list[Step]], true: list[list[Any]], declared: Declared | None
) -> list[list[float]]:
    """The figure of each epoch's batches from the weights at its end, averaged over examples and
    over batches.
    """
    if declared is None:
        return []
    examples, batches = [], []
    for steps, ys in zip(epochs, true, strict=True):
        weights = steps[-1].after if steps else None
        if weights is None:
            return []
        model = steps[-1].model
        values = []
        with weights_of(model, weights):
            for step, y in zip(steps, ys, strict=True):
                outputs = call_model(model, step.inputs, False)
                values.append(figure_of(name, step, y, outputs, declared))
        examples.append(_mean(values, [step.size for step in steps]))
        batches.append(_mean(values))
    return [examples, batches]


def figure_of(
    name: str, step: Step | Evaluation, y: Any, outputs: Any, declared: Declared
) -> float:
    """One figure of one batch."""
    if name.startswith("loss"):
        found = mean_loss(
            declared, LossPractice(weighted=False), Batch(y, outputs, None, 0.0, step.size)
        )
        added = float(sum(float(x) for x in step.model.losses)) if name == "loss" else 0.0
        return (float(found[0]) if found is not None else float("nan")) + added
    return _figures(outputs, y)[name](y, outputs)


def evaluation_quantities(
    blocks: list[list[Evaluation]], targets: list[list[Any]], declared: Declared
) -> list[Quantity]:
    """The figures of the evaluations after each epoch."""
    names = ["loss", "loss without regularization", *_figures(blocks[0][0].outputs, targets[0][0])]
    return [_quantity(name, blocks, targets, _figure_called(name, declared)) for name in names]


def _figure_called(name: str, declared: Declared) -> Callable[[Any, Any], float]:
    return lambda y, batch: figure_of(name, batch, y, batch.outputs, declared)


def _figures(outputs: Any, y: Any) -> dict[str, Any]:
    flat = keras.tree.flatten(outputs)
    if len(flat) != 1 or len(keras.tree.flatten(y)) != 1:
        return {}
    if flat[0].shape[-1] > 1:
        return {"accuracy": _accuracy}
    return {
        "accuracy": _binary_accuracy,
        "mean absolute error": _absolute,
        "mean squared error": _squared,
    }


def _pair(y: Any, outputs: Any) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(tf.cast(keras.tree.flatten(outputs)[0], tf.float32))
    return np.asarray(keras.tree.flatten(y)[0]), p


def _accuracy(y: Any, outputs: Any) -> float:
    y, p = _pair(y, outputs)
    labels = y.argmax(-1) if y.shape == p.shape else y.reshape(p.shape[:-1])
    return float((labels == p.argmax(-1)).mean())


def _binary_accuracy(y: Any, outputs: Any) -> float:
    y, p = _pair(y, outputs)
    threshold = 0.5 if (p >= 0).all() and (p <= 1).all() else 0.0
    return float(((p > threshold).reshape(-1) == (y.reshape(-1) > 0.5)).mean())


def _absolute(y: Any, outputs: Any) -> float:
    y, p = _pair(y, outputs)
    return float(np.abs(y.reshape(-1) - p.reshape(-1)).mean())


def _squared(y: Any, outputs: Any) -> float:
    y, p = _pair(y, outputs)
    return float(np.square(y.reshape(-1) - p.reshape(-1)).mean())
