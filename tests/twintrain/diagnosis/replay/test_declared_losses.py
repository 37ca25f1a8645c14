"""Which output each declared loss is for, also of a model that has them in another order."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.replay.declared_losses import Declared, declare, declared_by
from twintrain.diagnosis.replay.loss_search import search
from twintrain.diagnosis.replay.losses import Batch, LossPractice, total_loss
from twintrain.diagnosis.watch.trace import FitCall, Step, Trace

DRAW = np.random.default_rng(0)
ROWS = 6
LIFE = tf.constant(DRAW.normal(size=(ROWS, 1)), tf.float32)
FAULT = tf.constant(DRAW.normal(size=(ROWS, 3)), tf.float32)
TARGETS = {
    "life": DRAW.normal(size=(ROWS, 1)).astype("float32"),
    "fault": DRAW.integers(0, 3, (ROWS, 1)),
}


def compiled() -> Declared:
    """The losses that a model of two outputs, a dictionary, was compiled with."""
    x = keras.Input((4,))
    outputs = {
        "life": keras.layers.Dense(1, name="life")(x),
        "fault": keras.layers.Dense(3, "softmax", name="fault")(x),
    }
    model = keras.Model(x, outputs)
    losses = {"life": keras.losses.Huber(), "fault": "sparse_categorical_crossentropy"}
    model.compile("sgd", losses, loss_weights={"life": 0.5, "fault": 2.0})
    rows = DRAW.normal(size=(ROWS, 4)).astype("float32")
    model.fit(rows, TARGETS, verbose=0)
    trace = Trace("keras_fit", [], fits=[FitCall(model, {})])
    trace.steps = [Step(model, rows, True, model(rows), (rows, TARGETS), 0.0)]
    (found,) = declared_by(trace)
    return found


@pytest.mark.parametrize(
    "nest",
    [{"life": LIFE, "fault": FAULT}, (LIFE, FAULT), (FAULT, LIFE), {"a": LIFE, "b": FAULT}],
    ids=["as declared", "tuple", "tuple the other way", "other names"],
)
def test_the_outputs_of_another_model_are_put_in_order(nest: Any) -> None:
    found = compiled()
    ours = dict(zip(found.kinds, found.pick(nest), strict=True))
    assert ours["sparse"] is FAULT
    assert ours["other"] is LIFE


def test_outputs_of_one_shape_stay_as_they_are() -> None:
    two = declare([keras.losses.Huber()] * 2, [1.0, 1.0], [("a",), ("b",)], [(1,), (1,)])
    other = tf.identity(LIFE)
    assert [id(part) for part in two.pick((LIFE, other))] == [id(LIFE), id(other)]


@pytest.mark.parametrize("form", ["logits", "as declared"])
def test_logits_beside_a_number_are_read_by_the_same_practice(form: str) -> None:
    """The loss of the number has no such form, and stays as declared."""
    found = compiled()
    heads = [FAULT * scale for scale in (1.0, 2.0, 3.0)]
    shown = heads if form == "logits" else [tf.nn.softmax(head) for head in heads]
    batches = [Batch(TARGETS, (head, LIFE), None, 0.0, ROWS) for head in shown]
    rows = keras.losses.Huber(reduction=None)(TARGETS["life"], LIFE)
    faults = [
        tf.nn.sparse_softmax_cross_entropy_with_logits(TARGETS["fault"][:, 0], head)
        for head in heads
    ]
    by_hand = [float(tf.reduce_mean(0.5 * rows + 2.0 * fault)) for fault in faults]
    read = search(found, batches, by_hand, 2e-5)
    assert read == LossPractice(form=form)
    assert float(total_loss(found, read, batches[0])) == pytest.approx(by_hand[0], rel=1e-5)
