"""How a side computes its loss, as a value that can be replayed, and the search for the one that
reproduces it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.trace import Step, Trace

Values = Callable[[Any, Any], tf.Tensor]


@dataclass(frozen=True)
class LossPractice:
    """One way to get from targets and predictions to a number.

    The first value of each field is what a correct loop does.

    Attributes:
        form: 'as declared'; 'logits' or 'probabilities' (the outputs taken for that, by the plain
            formula); 'class number' (a dense loss fed with class numbers).
        broadcast: targets (N,) against predictions (N, 1), giving (N, N) values.
        masked: masked-out positions are left out.
        weighting: 'by count' (sum of w l over N), 'by weight' (over the sum of w), 'none'.
        output_weights: the outputs' losses are weighted as declared.
        regularized: the losses of the layers are added.
        reduction: 'mean', 'sum', 'constant' (mean times a constant), 'fixed size' (sum over a
            constant).
        factor: of the last two.
    """

    form: str = "as declared"
    broadcast: bool = False
    masked: bool = True
    weighting: str = "by count"
    output_weights: bool = True
    regularized: bool = True
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
class Declared:
    """The losses a training was declared with.

    Attributes:
        name: for people.
        values: per output, from targets and predictions to unreduced values.
        kinds: per output, 'sparse', 'dense', 'binary' or 'other'.
        weights: per output.
        pick: gets the targets or predictions of each output from their nest.
    """

    name: str
    values: list[Values]
    kinds: list[str]
    weights: list[float]
    pick: Callable[[Any], list[Any]]


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


def declared_by(trace: Trace) -> list[Declared]:
    """The losses seen on a side: what its model was compiled with, and Keras loss objects it
    called.
    """
    found = []
    for step in trace.steps[:1]:
        compiled = getattr(step.model, "_compile_loss", None)
        flat = getattr(compiled, "_flat_losses", None) if compiled is not None else None
        if flat and _is_fitted(trace):
            found.append(
                _declared(
                    [f.loss for f in flat],
                    [f.loss_weights or 1.0 for f in flat],
                    [f.path for f in flat],
                )
            )
        objects = [call.loss for call in step.losses if hasattr(call.loss, "reduction")]
        if objects and len(objects) == len(keras.tree.flatten(step.outputs)):
            paths = [()] if len(objects) == 1 else [(i,) for i in range(len(objects))]
            found.append(_declared(objects, [1.0] * len(objects), paths))
    return found


def _is_fitted(trace: Trace) -> bool:
    return bool(trace.fits) or bool(trace.steps and trace.steps[0].model.compiled)


def common_losses() -> Iterator[Declared]:
    """What people use most, for a side that declares nothing."""
    losses = keras.losses
    for loss in (
        losses.SparseCategoricalCrossentropy(),
        losses.SparseCategoricalCrossentropy(from_logits=True),
        losses.CategoricalCrossentropy(),
        losses.CategoricalCrossentropy(from_logits=True),
        losses.BinaryCrossentropy(),
        losses.BinaryCrossentropy(from_logits=True),
        losses.MeanSquaredError(),
        losses.MeanAbsoluteError(),
        losses.Huber(),
    ):
        yield _declared([loss], [1.0], [()])


def _declared(losses: list[Any], weights: list[float], paths: list[Any]) -> Declared:
    def pick(nest: Any) -> list[Any]:
        flat = keras.tree.flatten(nest)
        if len(paths) == 1:
            return [flat[0] if len(flat) == 1 else nest]
        found = []
        for number, path in enumerate(paths):
            part = nest
            try:
                for key in path:
                    part = part[key]
            except (KeyError, TypeError, IndexError):
                part = flat[number]
            found.append(part)
        return found

    names = [getattr(loss, "name", type(loss).__name__) for loss in losses]
    return Declared(
        ", ".join(names),
        [_values(loss) for loss in losses],
        [_kind(loss) for loss in losses],
        weights,
        pick,
    )


def _values(loss: Any) -> Values:
    def values(y: Any, p: Any) -> tf.Tensor:
        y = tf.convert_to_tensor(y)
        if y.dtype != p.dtype and _kind(loss) != "sparse":
            y = tf.cast(y, p.dtype)
        found: tf.Tensor = loss.call(y, p)
        return found

    return values


def _kind(loss: Any) -> str:
    name = (
        type(loss).__name__.lower()
        + " "
        + str(getattr(getattr(loss, "fn", None), "__name__", "")).lower()
    )
    if "sparse" in name:
        return "sparse"
    if "binary" in name:
        return "binary"
    return "dense" if "categorical" in name else "other"


def plain_values(form: str, kind: str, y: Any, p: tf.Tensor) -> tf.Tensor | None:
    """Values by the plain formula, without what Keras mends; None where a form does not apply to a
    kind of loss.
    """
    y, tiny = tf.convert_to_tensor(y), 1e-7
    if form == "class number":
        if kind != "sparse" or p.shape.rank != 2:
            return None
        number = tf.cast(tf.reshape(y, (-1, 1)), p.dtype)
        return -tf.reduce_sum(number * tf.math.log(tf.clip_by_value(p, tiny, 1 - tiny)), axis=-1)
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
    total, count = tf.constant(0.0), tf.constant(0.0)
    targets, predictions = declared.pick(batch.y), declared.pick(batch.p)
    for number, (y, p) in enumerate(zip(targets, predictions, strict=False)):
        values = _form(declared, number, practice, y, p)
        if values is None:
            return None
        values = tf.cast(values, tf.float32)
        weights, mask = (
            _weights(practice, batch, number, values),
            _mask(p, values) if practice.masked else None,
        )
        size = tf.cast(tf.size(values), tf.float32) if mask is None else tf.reduce_sum(mask)
        if mask is not None:
            values = values * mask
        divisor = size
        if weights is not None:
            values = values * weights
            if practice.weighting == "by weight":
                divisor = tf.reduce_sum(
                    tf.broadcast_to(weights, tf.shape(values)) * (1.0 if mask is None else mask)
                )
        loss = tf.reduce_sum(values) / tf.maximum(divisor, 1e-12)
        total += loss * (declared.weights[number] if practice.output_weights else 1.0)
        count = tf.maximum(count, size)
    return total, count


def _form(
    declared: Declared, number: int, practice: LossPractice, y: Any, p: Any
) -> tf.Tensor | None:
    if practice.form != "as declared":
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
    if batch.w is None or practice.weighting == "none":
        return None
    flat = keras.tree.flatten(batch.w)
    weights = tf.cast(
        tf.convert_to_tensor(flat[number] if len(flat) > number else flat[0]), tf.float32
    )
    if weights.shape.rank > values.shape.rank:
        weights = tf.reshape(weights, weights.shape[: values.shape.rank])
    return tf.reshape(weights, weights.shape + [1] * (values.shape.rank - weights.shape.rank))


def _mask(p: Any, values: tf.Tensor) -> tf.Tensor | None:
    mask = getattr(p, "_keras_mask", None)
    if mask is None or mask.shape[: values.shape.rank] != values.shape:
        return None
    return tf.cast(mask, tf.float32)


def total_loss(declared: Declared, practice: LossPractice, batch: Batch) -> tf.Tensor:
    """The loss as that practice computes it, differentiable."""
    found = mean_loss(declared, practice, batch)
    assert found is not None
    mean, count = found
    scale = {
        "mean": 1.0,
        "constant": practice.factor,
        "sum": count,
        "fixed size": count * practice.factor,
    }
    return mean * scale[practice.reduction] + (batch.added if practice.regularized else 0.0)


def search(
    declared: Declared, batches: list[Batch], targets: list[float], rel: float
) -> LossPractice | None:
    """The practice with the fewest deviations whose loss equals the observed one in every batch."""
    known: dict[LossPractice, tuple[np.ndarray, np.ndarray] | None] = {}
    for practice in _candidates(batches):
        plain = replace(practice, reduction="mean", regularized=True)
        if plain not in known:
            known[plain] = _means(declared, plain, batches)
        found = known[plain]
        if found is None:
            continue
        rest = np.array(targets) - (
            [float(b.added) for b in batches] if practice.regularized else 0.0
        )
        reduced = _reduction(practice, *found, rest, np.array(targets), rel)
        if reduced is not None:
            return reduced
    return None


def _means(
    declared: Declared, practice: LossPractice, batches: list[Batch]
) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        found = [mean_loss(declared, practice, batch) for batch in batches]
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return None  # this loss does not take these targets
    if any(pair is None for pair in found):
        return None
    means, counts = zip(
        *[(float(pair[0]), float(pair[1])) for pair in found if pair is not None], strict=True
    )
    return np.array(means), np.array(counts)


def _candidates(batches: list[Batch]) -> list[LossPractice]:
    axes: dict[str, list[Any]] = {
        "form": ["as declared", "logits", "probabilities", "class number"],
        "broadcast": [False, True],
        "masked": [True, False]
        if any(hasattr(p, "_keras_mask") for b in batches for p in keras.tree.flatten(b.p))
        else [True],
        "weighting": ["by count", "by weight", "none"]
        if any(b.w is not None for b in batches)
        else ["by count"],
        "output_weights": [True, False] if len(keras.tree.flatten(batches[0].p)) > 1 else [True],
        "regularized": [True, False] if any(float(b.added) for b in batches) else [True],
    }
    grid = [
        replace(LossPractice(), **dict(zip(axes, values, strict=True)))
        for values in itertools.product(*axes.values())
    ]
    plain = sorted((p for p in grid if p.deviations() <= 3), key=LossPractice.deviations)
    free = [replace(p, reduction="any") for p in plain if p.deviations() <= 2]
    return sorted(plain + free, key=LossPractice.deviations)


def _reduction(
    practice: LossPractice,
    means: np.ndarray,
    counts: np.ndarray,
    rest: np.ndarray,
    targets: np.ndarray,
    rel: float,
) -> LossPractice | None:
    floor = rel * np.maximum(np.abs(targets), 1e-3)
    if practice.reduction == "mean":
        return practice if (np.abs(means - rest) <= floor).all() else None
    if not (np.abs(means) > 0).all() or len(means) < 2:
        return None
    ratios = rest / means
    loose = 5 * rel * np.maximum(1.0, np.abs(targets / np.where(rest == 0, 1.0, rest)))
    if (np.abs(ratios / counts - 1) <= loose).all():
        return replace(practice, reduction="sum")
    for name, values in (("constant", ratios), ("fixed size", ratios / counts)):
        factor = float(np.median(values))
        if (
            factor > 0
            and (np.abs(values / factor - 1) <= loose).all()
            and np.ptp(means) > 1e-4 * np.abs(means).max()
        ):
            return replace(practice, reduction=name, factor=factor)
    return None


def batch_of(step: Step, y: Any, w: Any) -> Batch:
    """The recorded outputs of a step with the true targets and weights."""
    return Batch(y, step.outputs, w, step.layer_losses, step.size)
