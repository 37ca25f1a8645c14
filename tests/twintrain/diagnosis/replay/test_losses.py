"""The way a loss was computed is found again from its value."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.replay.declared_losses import Declared, declare, declared_by
from twintrain.diagnosis.replay.loss_search import search
from twintrain.diagnosis.replay.losses import Batch, LossPractice, output_weights, total_loss
from twintrain.diagnosis.watch.trace import FitCall, Step, Trace


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
        (4, LossPractice(weighted=False)),
        (4, LossPractice(divisor="weights")),
        (4, LossPractice(regularized=False)),
        (4, LossPractice(reduction="sum")),
        (4, LossPractice(reduction="constant", factor=0.25)),
        (4, LossPractice(reduction="fixed size", factor=1 / 16)),
        (4, LossPractice(weighted=False, regularized=False)),
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


def heads(weights: tuple[float, ...], seed: int = 5) -> tuple[Declared, list[Batch]]:
    """Three outputs with losses of their own, and eight batches."""
    losses = keras.losses
    objects = [losses.MeanSquaredError(), losses.MeanAbsoluteError(), losses.BinaryCrossentropy()]
    draw, found = np.random.default_rng(seed), []
    for size in (8, 8, 8, 5, 8, 8, 8, 5):
        y = [
            draw.normal(size=(size, 1)),
            draw.normal(size=(size, 1)),
            draw.integers(0, 2, (size, 1)),
        ]
        p = [
            draw.normal(size=(size, 1)),
            draw.normal(size=(size, 1)),
            draw.uniform(0.1, 0.9, (size, 1)),
        ]
        outputs = [tf.constant(part, tf.float32) for part in p]
        targets = [part.astype("float32") for part in y]
        found.append(Batch(targets, outputs, None, 0.125, size))
    return declare(objects, list(weights), [(0,), (1,), (2,)]), found


@pytest.mark.parametrize(
    "used",
    [(0.05, 1.0, 0.5), (1.0, 0.5, 0.0), (0.333, 0.333, 2.0), (1.0, 0.05, 0.5)],
    ids=["to other outputs", "one left out", "of its own", "as declared"],
)
@pytest.mark.parametrize("regularized", [True, False])
def test_weights_that_meet_other_outputs_are_read(
    used: tuple[float, ...], regularized: bool
) -> None:
    loss, seen = heads((1.0, 0.05, 0.5))
    wanted = LossPractice(output_weights=used, regularized=regularized)
    found = search(loss, seen, [float(total_loss(loss, wanted, b)) for b in seen], 2e-5)
    assert found is not None
    assert output_weights(loss, found) == pytest.approx(used)
    assert (found.regularized, found.reduction) == (regularized, "mean")
    assert (found.output_weights is True) == (used == (1.0, 0.05, 0.5))


@pytest.mark.parametrize("share", [0.5, 2.0, 0.01])
def test_a_share_of_the_layers_losses_is_read(share: float) -> None:
    seen, loss = batches(4, weighted=False), declared(4)
    wanted = LossPractice(regularized=share)
    found = search(loss, seen, [float(total_loss(loss, wanted, b)) for b in seen], 2e-5)
    assert found == wanted


def test_no_share_is_made_up() -> None:
    """Neither of what is added by no share of few digits, nor where the layers' losses vanish."""
    seen, loss = batches(4, weighted=False), declared(4)
    means = [float(total_loss(loss, LossPractice(regularized=False), batch)) for batch in seen]
    assert search(loss, seen, [mean + 0.1 * k for k, mean in enumerate(means)], 2e-5) is None
    tiny = [Batch(b.y, b.p, None, 1e-9, b.size) for b in seen]
    assert search(loss, tiny, [mean + 0.01 for mean in means], 2e-5) is None


def test_no_weights_are_made_up_for_what_is_no_sum_of_the_outputs_losses() -> None:
    loss, seen = heads((1.0, 0.05, 0.5))
    targets = [float(total_loss(loss, LossPractice(), batch)) ** 0.5 for batch in seen]
    assert search(loss, seen, targets, 2e-5) is None


def test_a_loss_of_ones_own_is_not_forced_into_a_practice() -> None:
    seen, loss = batches(4, weighted=False), declared(4)
    targets = [float(tf.reduce_mean(tf.square(batch.p))) for batch in seen]
    assert search(loss, seen, targets, 2e-5) is None


LENGTH = 6


def sequences(masked: bool, padding: int = 0) -> list[Batch]:
    """Batches of sequences of classes, of which the ends are padding."""
    draw = np.random.default_rng(1)
    found = []
    for size in (16, 16, 16, 5):
        kept = np.arange(LENGTH) < draw.integers(1, LENGTH + 1, (size, 1))
        y = np.where(kept, draw.integers(1, 4, (size, LENGTH)), padding)
        p = tf.nn.softmax(draw.normal(size=(size, LENGTH, 4)).astype("float32"))
        if masked:
            p._keras_mask = tf.constant(kept)
        found.append(Batch(y, p, None, 0.0, size))
    return found


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("padding", [0, -1])
@pytest.mark.parametrize("divisor", ["positions that count", "positions", "rows", "each row's own"])
def test_every_divisor_of_a_masked_loss_is_recognised(
    masked: bool, padding: int, divisor: str
) -> None:
    seen, loss = sequences(masked, padding), declared(4)
    mask = f"targets not {padding}" if not masked else "as declared"
    practice = LossPractice(mask=mask, divisor=divisor)
    if masked and padding:
        seen = [Batch(np.maximum(b.y, 0), b.p, None, 0.0, b.size) for b in seen]
    targets = [float(total_loss(loss, practice, batch)) for batch in seen]
    assert np.isfinite(targets).all()
    found = search(loss, seen, targets, 2e-5)
    assert found == practice


def test_the_class_that_a_loss_ignores_is_masked_as_keras_does() -> None:
    seen = sequences(False, -1)
    fn = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    loss = declare([fn], [1.0], [()])
    targets = [float(fn(batch.y, batch.p)) for batch in seen]
    assert search(loss, seen, targets, 2e-5) == LossPractice()


def test_a_constant_number_of_positions_is_told_from_those_that_count() -> None:
    seen, loss = sequences(True), declared(4)
    practice = LossPractice(reduction="fixed size", factor=1 / 50)
    targets = [float(total_loss(loss, practice, batch)) for batch in seen]
    found = search(loss, seen, targets, 2e-5)
    assert found is not None
    assert found.reduction == "fixed size"
    assert 1 / found.factor == pytest.approx(50, rel=1e-3)


def test_a_function_given_to_compile_is_a_loss_like_any_other() -> None:
    def cubes(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.abs(y - p) ** 3)

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=cubes)
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    model.fit(x, y, verbose=0)
    trace = Trace("keras_fit", [], fits=[FitCall(model, {})])
    p = model(x)
    trace.steps = [Step(model, x, True, p, (x, y), 0.0)]
    (loss,) = declared_by(trace)
    target = float(cubes(tf.constant(y), p))
    assert search(loss, [Batch(y, p, None, 0.0, 4)], [target], 2e-5) == LossPractice()
