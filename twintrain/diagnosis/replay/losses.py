"""How a side computes its loss, as a value that can be replayed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import keras
import tensorflow as tf

from twintrain.diagnosis.replay.declared_losses import Declared
from twintrain.diagnosis.replay.penalties import Penalties
from twintrain.diagnosis.replay.tolerances import EPSILON, TINY
from twintrain.diagnosis.watch.trace import Step

# Targets that stand for padding, by the mask that is made of them.
PADDING = {"targets not 0": 0, "targets not -1": -1}


@dataclass(frozen=True)
class LossPractice:
    """One way to get from targets and predictions to a number.

    The first value of each field is what a correct loop does.

    Attributes:
        form: of the losses of classes: 'as declared'; 'logits' or 'probabilities' (the outputs
            taken for that, by the plain formula); 'class number' (a dense loss fed with class
            numbers). Other outputs of the same model have their loss as declared.
        broadcast: targets (N,) against predictions (N, 1), giving (N, N) values.
        mask: which positions are left out: 'as declared' (those the outputs or the loss say),
            'targets not 0' or 'targets not -1' (those whose target is padding), 'none'.
        weighted: the values are multiplied by the weights of the batch.
        divisor: what the sum over all positions is divided by: 'positions that count' (all where
            nothing is masked), 'weights' (their sum), 'positions' (all of them), 'rows', 'each
            row's own' (a mean per row, then over the rows).
        output_weights: the outputs' losses are weighted as declared, or not at all, or by these.
        regularized: the losses of the layers are added: all, nothing, or this share of them.
        reduction: 'mean', 'sum', 'constant' (mean times a constant), 'fixed size' (sum over a
            constant).
        factor: of the last two.
    """

    form: str = "as declared"
    broadcast: bool = False
    mask: str = "as declared"
    weighted: bool = True
    divisor: str = "positions that count"
    output_weights: bool | tuple[float, ...] = True
    regularized: bool | float = True
    reduction: str = "mean"
    factor: float = 1.0

    def deviations(self) -> int:
        """How many fields are not what a correct loop does; the factor goes with the reduction."""
        default = LossPractice()
        return sum(
            getattr(self, f.name) != getattr(default, f.name)
            for f in fields(self)
            if f.name != "factor"
        )


@dataclass
class Batch:
    """What a loss is computed from: targets, predictions, weights (or None) and the losses of the
    layers.
    """

    y: Any
    p: Any
    w: Any
    added: Any
    size: int


@dataclass
class LossReading:
    """How one side computes its loss.

    Attributes:
        declared: the losses it is declared with.
        practice: the way it gets from these to a number.
        batches: what it was read from, by number of the step.
        factors: by number of the step, what undoes the factor that this side puts into its loss
            and takes out of the gradients again; empty where it does not.
        lent: penalties that its model does not declare, and its loss may have all the same.
    """

    declared: Declared
    practice: LossPractice
    batches: dict[int, Batch]
    factors: dict[int, float] = field(default_factory=dict)
    lent: Penalties = field(default_factory=Penalties)

    def replay(self, number: int, practice: LossPractice | None = None) -> float:
        """The loss of a step, by this or another practice."""
        return float(total_loss(self.declared, practice or self.practice, self.batches[number]))


def plain_values(form: str, kind: str, y: Any, p: tf.Tensor) -> tf.Tensor | None:
    """Values by the plain formula, without what Keras mends; None where a form does not apply to a
    kind of loss.
    """
    y = tf.convert_to_tensor(y)
    if form == "class number":
        if kind != "sparse" or p.shape.rank != 2:
            return None
        number = tf.cast(tf.reshape(y, (-1, 1)), p.dtype)
        return -tf.reduce_sum(
            number * tf.math.log(tf.clip_by_value(p, EPSILON, 1 - EPSILON)), axis=-1
        )
    p = tf.identity(p)  # without the logits Keras attaches to a softmax
    if kind == "sparse":
        y = tf.cast(tf.reshape(y, tf.shape(p)[:-1]), tf.int64)
        return keras.ops.sparse_categorical_crossentropy(y, p, from_logits=form == "logits")
    if kind == "dense":
        return keras.ops.categorical_crossentropy(
            tf.cast(y, p.dtype), p, from_logits=form == "logits"
        )
    if kind == "binary":
        y = tf.cast(tf.reshape(y, tf.shape(p)), p.dtype)
        return tf.reduce_mean(
            keras.ops.binary_crossentropy(y, p, from_logits=form == "logits"), axis=-1
        )
    return None


def mean_loss(
    declared: Declared, practice: LossPractice, batch: Batch
) -> tuple[tf.Tensor, tf.Tensor] | None:
    """The reduced loss without regularization, and how many values it is a mean of; None where it
    cannot be formed.
    """
    found = output_losses(declared, practice, batch)
    if found is None:
        return None
    total, count = tf.constant(0.0), tf.constant(0.0)
    weights = output_weights(declared, practice)
    for (loss, size), weight in zip(found, weights, strict=False):
        total += loss * weight
        count = tf.maximum(count, size)
    return total, count


def output_losses(
    declared: Declared, practice: LossPractice, batch: Batch
) -> list[tuple[tf.Tensor, tf.Tensor]] | None:
    """Per output, its reduced loss without a weight of its own, and how many values that is a mean
    of; None where one cannot be formed.
    """
    losses = []
    targets, predictions = declared.pick(batch.y), declared.pick(batch.p)
    for number, (y, p) in enumerate(zip(targets, predictions, strict=False)):
        found = _values_and_mask(declared, number, practice, y, p)
        if found is None:
            return None
        values, mask = found
        weights = _weights(practice, batch, number, values)
        losses.append(reduced(values, mask, weights, practice))
    return losses


def output_weights(declared: Declared, practice: LossPractice) -> list[float]:
    """What the loss of each output is multiplied by."""
    if isinstance(practice.output_weights, tuple):
        return list(practice.output_weights)
    return [weight if practice.output_weights else 1.0 for weight in declared.weights]


def _values_and_mask(
    declared: Declared, number: int, practice: LossPractice, y: Any, p: Any
) -> tuple[tf.Tensor, tf.Tensor | None] | None:
    """Values of one output, and which of them count; None where they cannot be formed."""
    padding = PADDING.get(practice.mask)
    kept = None if padding is None else kept_targets(y, padding)
    if kept is not None and padding:
        # A class that does not exist would give a loss that is not a number.
        y = tf.where(tf.reshape(kept, tf.shape(y)), y, tf.zeros_like(y))
    values = _form(declared, number, practice, y, p)
    if values is None:
        return None
    own = [getattr(part, "_keras_mask", None) for part in (p, values)]
    values = tf.cast(values, tf.float32)
    if practice.mask == "as declared":
        return values, _combined(own, values)
    return values, _combined([kept], values)


def _combined(masks: list[Any], values: tf.Tensor) -> tf.Tensor | None:
    """The masks of these that fit the values, all in one."""
    found = None
    for mask in masks:
        if mask is None or not values.shape.rank or mask.shape[: values.shape.rank] != values.shape:
            continue
        found = tf.cast(mask, tf.float32) * (1.0 if found is None else found)
    return found


def kept_targets(y: Any, padding: int) -> tf.Tensor | None:
    """Which positions of a batch of sequences have a class for a target, (rows, positions); None
    where the targets are not of that form.
    """
    y = tf.convert_to_tensor(y)
    if y.shape.rank > 2 and y.shape[-1] == 1:
        y = tf.squeeze(y, -1)
    if y.shape.rank < 2:
        return None
    return tf.not_equal(y, tf.cast(padding, y.dtype))


def reduced(
    values: tf.Tensor, mask: tf.Tensor | None, weights: tf.Tensor | None, practice: LossPractice
) -> tuple[tf.Tensor, tf.Tensor]:
    """Values reduced by the divisor of a practice, and how many of them count.

    Args:
        values: unreduced, (rows, ...).
        mask: ones and zeros, of the same shape.
        weights: broadcast to it.
        practice: says what the sum is divided by.
    """
    kept = tf.ones_like(values) if mask is None else mask
    # Not a product alone: what is left out may not be a number.
    values = tf.where(kept > 0, values, tf.zeros_like(values))
    shares = kept if weights is None else kept * weights
    summed, size = values * shares, tf.reduce_sum(kept)
    if practice.divisor == "each row's own" and values.shape.rank > 1:
        axes = list(range(1, values.shape.rank))
        per_row = tf.reduce_sum(summed, axes) / tf.maximum(tf.reduce_sum(shares, axes), TINY)
        return tf.reduce_mean(per_row), size
    divisors = {
        "weights": tf.reduce_sum(shares),
        "positions": tf.cast(tf.size(values), tf.float32),
        "rows": tf.cast(values.shape[0] if values.shape.rank else 1, tf.float32),
    }
    return tf.reduce_sum(summed) / tf.maximum(divisors.get(practice.divisor, size), TINY), size


def _form(
    declared: Declared, number: int, practice: LossPractice, y: Any, p: Any
) -> tf.Tensor | None:
    beside = declared.kinds[number] == "other" and set(declared.kinds) != {"other"}
    if practice.form != "as declared" and not beside:
        return plain_values(practice.form, declared.kinds[number], y, p)
    if not practice.broadcast:
        return declared.values[number](y, p)
    y = tf.convert_to_tensor(y)
    if p.shape.rank != 2 or p.shape[1] != 1 or tf.size(y) != p.shape[0]:
        return None
    square = (p.shape[0], p.shape[0])
    return declared.values[number](
        tf.broadcast_to(tf.reshape(y, (1, -1)), square), tf.broadcast_to(p, square)
    )


def _weights(
    practice: LossPractice, batch: Batch, number: int, values: tf.Tensor
) -> tf.Tensor | None:
    if batch.w is None or not practice.weighted:
        return None
    flat = keras.tree.flatten(batch.w)
    weights = tf.cast(
        tf.convert_to_tensor(flat[number] if len(flat) > number else flat[0]), tf.float32
    )
    if weights.shape.rank > values.shape.rank:
        weights = tf.reshape(weights, weights.shape[: values.shape.rank])
    return tf.reshape(weights, weights.shape + [1] * (values.shape.rank - weights.shape.rank))


def total_loss(declared: Declared, practice: LossPractice, batch: Batch) -> tf.Tensor:
    """The loss as that practice computes it, differentiable.

    Raises:
        ValueError: the practice cannot be followed with these targets and predictions.
    """
    found = mean_loss(declared, practice, batch)
    if found is None:
        raise ValueError(f"{declared.name} cannot be computed by {practice}")
    mean, count = found
    scale = {
        "mean": 1.0,
        "constant": practice.factor,
        "sum": count,
        "fixed size": count * practice.factor,
    }
    return mean * scale[practice.reduction] + batch.added * float(practice.regularized)


def batch_of(step: Step, y: Any, w: Any) -> Batch:
    """The recorded outputs of a step with the true targets and weights."""
    return Batch(y, step.outputs, w, step.layer_losses, step.size)
