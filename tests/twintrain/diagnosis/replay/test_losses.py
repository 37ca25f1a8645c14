"""The way a loss was computed is found again from its value."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.replay.loss_search import search
from twintrain.diagnosis.replay.losses import (
    Batch,
    Declared,
    LossPractice,
    declare,
    total_loss,
)


def batches(classes: int, weighted: bool) -> list[Batch]:
    draw = np.random.default_rng(0)
    found = []
    for size in (16, 16, 16, 5):
        p = (
            tf.nn.softmax(draw.normal(size=(size, classes)).astype("float32"))
            if classes > 1
            else draw.normal(size=(size, 1))
        )
        y = (
            draw.integers(0, classes, size)
            if classes > 1
            else draw.normal(size=size).astype("float32")
        )
        w = draw.uniform(0.5, 2, size).astype("float32") if weighted else None
        found.append(Batch(y, tf.constant(p, tf.float32), w, float(draw.uniform(0.1, 0.2)), size))
    return found


def declared(classes: int) -> Declared:
    loss = (
        keras.losses.SparseCategoricalCrossentropy()
        if classes > 1
        else keras.losses.MeanSquaredError()
    )
    return declare([loss], [1.0], [()])


@pytest.mark.parametrize(
    ("classes", "practice"),
    [
        (4, LossPractice()),
        (4, LossPractice(form="logits")),
        (4, LossPractice(form="class number")),
        (4, LossPractice(weighting="none")),
        (4, LossPractice(weighting="by weight")),
        (4, LossPractice(regularized=False)),
        (4, LossPractice(reduction="sum")),
        (4, LossPractice(reduction="constant", factor=0.25)),
        (4, LossPractice(reduction="fixed size", factor=1 / 16)),
        (4, LossPractice(weighting="none", regularized=False)),
        (4, LossPractice(form="logits", reduction="sum", regularized=False)),
        (1, LossPractice(broadcast=True)),
        (1, LossPractice(broadcast=True, regularized=False)),
    ],
)
def test_every_practice_is_recognised(classes: int, practice: LossPractice) -> None:
    seen, loss = batches(classes, weighted=True), declared(classes)
    targets = [float(total_loss(loss, practice, batch)) for batch in seen]
    found = search(loss, seen, targets, 2e-5)
    assert found is not None
    assert found.factor == pytest.approx(practice.factor, rel=1e-3)
    assert {**vars(found), "factor": 1} == {**vars(practice), "factor": 1}


def test_a_loss_of_ones_own_is_not_forced_into_a_practice() -> None:
    seen, loss = batches(4, weighted=False), declared(4)
    targets = [float(tf.reduce_mean(tf.square(batch.p))) for batch in seen]
    assert search(loss, seen, targets, 2e-5) is None
