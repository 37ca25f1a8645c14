"""What to do about a loss that is computed otherwise, in the words of the loop it stands in."""

from __future__ import annotations

from dataclasses import replace

import keras
import tensorflow as tf

from twintrain.diagnosis.replay.losses import LossReading, mean_loss

# How each divisor is written, for values of positions that are masked or weighted.
_WRITTEN = {
    "positions that count": "tf.reduce_sum({shares} * values) / {count}",
    "weights": "tf.reduce_sum({shares} * values) / tf.reduce_sum({shares})",
    "positions": "tf.reduce_sum({shares} * values) / tf.cast(tf.size(values), tf.float32)",
    "rows": "tf.reduce_sum({shares} * values) / tf.cast(tf.shape(values)[0], tf.float32)",
    "each row's own": "tf.reduce_mean(tf.reduce_sum({shares} * values, axis=1) / "
    "tf.reduce_sum({shares}, axis=1))",
}
_SAID = {
    "positions that count": "the number of values that count",
    "weights": "the sum of the weights",
    "positions": "the number of all positions, padding and all",
    "rows": "the number of rows",
    "each row's own": "what counts in each row, and take the mean over the rows",
}


def masks(reading: LossReading) -> bool:
    """Whether a side leaves out some positions."""
    if reading.practice.mask != "as declared":
        return reading.practice.mask != "none"
    for batch in reading.batches.values():
        for number, (y, p) in enumerate(
            zip(reading.declared.pick(batch.y), reading.declared.pick(batch.p), strict=False)
        ):
            for part in (p, _values(reading, number, y, p)):
                if getattr(part, "_keras_mask", None) is not None:
                    return True
    return False


def _values(reading: LossReading, number: int, y: object, p: object) -> object:
    try:
        return reading.declared.values[number](y, p)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return None


def divisor(reading: LossReading, number: int, name: str | None = None) -> str:
    """What the loss of a step is divided by, in words and as a number.

    Args:
        reading: of a side.
        number: of the step.
        name: of another divisor than its own.
    """
    name = name or reading.practice.divisor
    said = _SAID[name]
    one_output = len(keras.tree.flatten(reading.batches[number].p)) == 1
    if name == "each row's own" or not one_output:
        return said
    plain = replace(reading.practice, divisor="positions that count")
    found = mean_loss(reading.declared, plain, reading.batches[number])
    by_name = mean_loss(reading.declared, replace(plain, divisor=name), reading.batches[number])
    if found is None or by_name is None or not float(by_name[0]):
        return said
    return f"{float(found[1]) * float(found[0]) / float(by_name[0]):.6g} ({said})"


def fix_of(name: str, reading: LossReading, other: LossReading, side: str) -> str | None:
    """What to do, where more can be said than the catalogue does.

    Args:
        name: of the field of the practice in which the sides differ.
        reading: of the side that has the mistake.
        other: of the other side.
        side: name of the other side.
    """
    if name == "divisor":
        right = other.practice.divisor
        weighted = reading.practice.weighted
        shares = " * ".join(["mask"] * masks(reading) + ["w"] * weighted)
        count = "tf.reduce_sum(mask)" if masks(reading) else "tf.cast(tf.size(values), tf.float32)"
        written = _WRITTEN[right].format(shares=shares, count=count)
        return f"Divide by {_SAID[right]}, as {side} does: loss = {written}"
    if name == "mask" and masks(other) and not masks(reading):
        return (
            f"Leave the padding out of the loss, as {side} does: loss = "
            "tf.reduce_sum(mask * values) / tf.reduce_sum(mask), with the mask of the outputs "
            "or of the targets."
        )
    if name == "regularized" and not isinstance(reading.practice.regularized, bool):
        return (
            f"Add the losses of the layers whole, as {side} does: loss += tf.add_n(model.losses). "
            f"Here {reading.practice.regularized:g} times as much is added; tf.nn.l2_loss, say, is "
            "half the sum of the squares."
        )
    if name == "reduction":
        return _fix_of_reduction(reading, other, side)
    return None


def _fix_of_reduction(reading: LossReading, other: LossReading, side: str) -> str | None:
    found, right = reading.practice, other.practice
    if right.reduction != "mean":
        return None
    if found.reduction == "sum":
        return f"Take the mean of the values, as {side} does, and not their sum."
    if found.reduction == "constant":
        return (
            f"The loss is {found.factor:.6g} times the mean that {side} takes: leave that factor "
            "out."
        )
    return (
        f"Divide by the number of values that count in the batch, as {side} does, and not by "
        f"{1 / found.factor:.6g} in every batch."
    )
