"""The way each side computes its loss."""

from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import (
    Practice,
    cross_entropy,
    named,
    nothing,
    pair_of,
    shuffled,
    small_model,
)
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.stages.loss_heads import form_of_figures


def regular() -> keras.Model:
    return small_model(regularizer=keras.regularizers.L2(0.05))


def summed(y: Any, p: Any, w: Any) -> tf.Tensor:
    return cross_entropy(y, p, w) * float(len(y))


def unweighted(y: Any, p: Any, w: Any) -> tf.Tensor:
    return cross_entropy(y, p, None)


def by_weight(y: Any, p: Any, w: Any) -> tf.Tensor:
    return cross_entropy(y, p, w) * len(y) / tf.reduce_sum(w)


def as_logits(y: Any, p: Any, w: Any) -> tf.Tensor:
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(y, tf.identity(p))
    return tf.reduce_mean(values)


def ends_in_logits() -> keras.Model:
    model = small_model()
    model.layers[-1].activation = keras.activations.linear
    return model


def from_logits(y: Any, p: Any, w: Any) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, p))


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_logits_of_one_side_and_probabilities_of_the_other_name_nothing(side: str) -> None:
    later = lambda epoch, rows: shuffled(epoch + 7, rows)  # noqa: E731
    other = Practice(build=ends_in_logits, loss=from_logits, order=later)
    pair = pair_of(fit=other) if side == "keras_fit" else pair_of(loop=other)
    check_losses(pair)
    assert nothing(pair)
    assert len({reading.practice.form for reading in pair.losses.values()}) == 2
    assert form_of_figures(pair) == pair.losses["custom_loop"].practice.form


def test_what_a_loop_judges_by_that_takes_probabilities_for_logits_is_not_known() -> None:
    pair = pair_of(loop=Practice(loss=as_logits))
    check_losses(pair)
    assert named(pair) == [("probabilities_as_logits", "custom_loop", 0)]
    assert form_of_figures(pair) is None


def by_number(y: Any, p: Any, w: Any) -> tf.Tensor:
    number = tf.cast(y[:, None], tf.float32)
    return tf.reduce_mean(-tf.reduce_sum(number * tf.math.log(p), axis=-1))


@pytest.mark.parametrize("weighted", [False, True])
def test_equal_losses_name_nothing(weighted: bool) -> None:
    pair = pair_of(Practice(build=regular), Practice(build=regular), weighted)
    check_losses(pair)
    assert nothing(pair)
    assert set(pair.losses) == {"keras_fit", "custom_loop"}
    assert "loss_reduction" in pair.findings.ruled_out


@pytest.mark.parametrize(
    ("wrong", "weighted", "id_"),
    [
        (Practice(loss=summed), False, "loss_reduction"),
        (Practice(loss=unweighted), True, "weights_ignored"),
        (Practice(loss=by_weight), True, "weighted_mean_normalization"),
        (Practice(loss=as_logits), False, "probabilities_as_logits"),
        (Practice(loss=by_number), False, "label_encoding_differs"),
    ],
)
@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_another_loss_is_named_and_replayed(
    wrong: Practice, weighted: bool, id_: str, side: str
) -> None:
    pair = pair_of(wrong, None, weighted) if side == "keras_fit" else pair_of(None, wrong, weighted)
    check_losses(pair)
    assert named(pair) == [(id_, side, 0)]
    evidence = pair.findings.causes[0].evidence[0]
    assert float(evidence.observed) == pytest.approx(float(evidence.replayed), rel=1e-4)
    if id_ != "weights_ignored":
        assert float(evidence.observed) != pytest.approx(float(evidence.correct), rel=1e-3)


def test_losses_of_layers_that_are_not_added_are_named() -> None:
    right, wrong = Practice(build=regular), Practice(build=regular, regularized=False)
    pair = pair_of(right, wrong)
    check_losses(pair)
    assert named(pair) == [("regularization_losses_missing", "custom_loop", 0)]
    evidence = pair.findings.causes[0].evidence[0]
    added = pair.loop.steps[0].layer_losses
    assert float(evidence.correct) - float(evidence.observed) == pytest.approx(added, rel=1e-3)


def test_half_of_the_layers_losses_is_named_with_its_share() -> None:
    by_half = keras.regularizers.L2(0.025)
    pair = pair_of(
        Practice(build=regular), Practice(build=lambda: small_model(regularizer=by_half))
    )
    for step in pair.loop.steps:  # the model says what the loop, by tf.nn.l2_loss, adds half of
        step.layer_losses *= 2
    check_losses(pair)
    assert named(pair) == [("regularization_losses_missing", "custom_loop", 0)]
    (cause,) = pair.findings.causes
    assert (cause.evidence[1].observed, cause.evidence[1].expected) == ("0.5", "1")
    assert cause.fix is not None
    assert "tf.nn.l2_loss" in cause.fix


def test_a_loss_of_ones_own_is_not_explained() -> None:
    pair = pair_of(loop=Practice(loss=lambda y, p, w: tf.reduce_mean(tf.square(p))))
    check_losses(pair)
    assert not pair.findings.causes
    assert len(pair.findings.unexplained) == 1
    assert pair.findings.unexplained[0].startswith("custom_loop: no replay gives the loss of step")
    assert set(pair.losses) == {"keras_fit"}
