"""Keras's own losses, for a side that declares none."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from twintrain.diagnosis.replay.declared_losses import Declared, declare


def common_losses() -> Iterator[Declared]:
    """What people use most, for a side that declares nothing."""
    for loss in common_loss_objects():
        yield declare([loss], [1.0], [()])


def common_loss_objects() -> tuple[keras.Loss, ...]:
    """Keras's losses, those that people use most first."""
    losses = keras.losses
    return (
        losses.SparseCategoricalCrossentropy(),
        losses.SparseCategoricalCrossentropy(from_logits=True),
        losses.CategoricalCrossentropy(),
        losses.CategoricalCrossentropy(from_logits=True),
        losses.BinaryCrossentropy(),
        losses.BinaryCrossentropy(from_logits=True),
        losses.MeanSquaredError(),
        losses.MeanAbsoluteError(),
        losses.Huber(),
        losses.LogCosh(),
        losses.MeanSquaredLogarithmicError(),
        losses.MeanAbsolutePercentageError(),
        losses.Poisson(),
        losses.KLDivergence(),
        losses.CosineSimilarity(),
        losses.Hinge(),
        losses.SquaredHinge(),
        losses.CategoricalHinge(),
        losses.BinaryFocalCrossentropy(),
        losses.BinaryFocalCrossentropy(from_logits=True),
        losses.CategoricalFocalCrossentropy(),
        losses.CategoricalFocalCrossentropy(from_logits=True),
    )
