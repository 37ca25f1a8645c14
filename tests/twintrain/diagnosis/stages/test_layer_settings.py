"""Settings of layers that one side leaves to its own code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import keras
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import (
    CLASSES,
    Practice,
    cross_entropy,
    named,
    nothing,
    pair_of,
    small_model,
)
from twintrain.diagnosis.stages.gradients import check_gradients
from twintrain.diagnosis.stages.layer_settings import check_settings
from twintrain.diagnosis.stages.lockstep_tables import first_divergence, lockstep_tables
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.stages.models import check_models
from twintrain.diagnosis.stages.pair import LayerSetting, Pair
from twintrain.diagnosis.watch.trace import Trace

STRENGTH = 0.01


def looked_at(fit: Practice, loop: Practice) -> Pair:
    pair = pair_of(fit, loop)
    for check in (check_models, check_losses, check_settings, check_gradients):
        check(pair)
    return pair


class ByHand(keras.Model):
    """The small model with the activation of its hidden layer written into `call`."""

    def __init__(self, activation: Callable[[object], object]) -> None:
        super().__init__()
        keras.utils.set_random_seed(1)
        self.hidden = keras.layers.Dense(4)
        self.out = keras.layers.Dense(CLASSES, "softmax")
        self.activation = activation
        self(tf.zeros((1, 5)))

    def call(self, x: object, training: bool | None = None) -> object:
        return self.out(self.activation(self.hidden(x)))


def test_an_activation_by_hand_is_the_same_model() -> None:
    assert nothing(looked_at(Practice(), Practice(build=lambda: ByHand(tf.nn.relu))))


def test_another_activation_by_hand_is_told() -> None:
    pair = looked_at(Practice(), Practice(build=lambda: ByHand(tf.nn.tanh)))
    assert pair.findings.unexplained == [
        "Dense.activation is linear in custom_loop and relu on the other side"
    ]


class Affine(keras.layers.Layer):
    """A dense layer that somebody wrote."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.size))
        self.bias = self.add_weight(shape=(self.size,), initializer="zeros")

    def call(self, x: object) -> object:
        return tf.nn.relu(tf.matmul(x, self.kernel) + self.bias)


def with_own_layer() -> keras.Model:
    model = small_model()
    inputs = keras.Input((5,))
    own = keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax")(Affine(4)(inputs)))
    own.set_weights(model.get_weights())
    return own


def test_a_layer_of_the_users_own_is_the_same_where_it_gives_the_same() -> None:
    assert nothing(looked_at(Practice(), Practice(build=with_own_layer)))


def regularized() -> Practice:
    return Practice(build=lambda: small_model(regularizer=keras.regularizers.L2(STRENGTH)))


def by_hand(share: float) -> Practice:
    def penalty(model: keras.Model) -> object:
        return share * STRENGTH * tf.reduce_sum(tf.square(model.layers[1].kernel))

    return Practice(penalty=penalty)


def test_a_penalty_in_the_loss_is_a_regularizer() -> None:
    assert nothing(looked_at(regularized(), by_hand(1.0)))
    assert nothing(looked_at(by_hand(1.0), regularized()))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_no_penalty_or_a_share_of_it_is_named_by_replay(share: float) -> None:
    pair = looked_at(regularized(), by_hand(share))
    assert named(pair) == [("regularization_losses_missing", "custom_loop", 0)]
    assert pair.findings.causes[0].evidence[0].kind == "replay"


def test_where_the_losses_are_not_read_the_setting_is_told() -> None:
    loop = Practice(loss=lambda y, p, w: tf.reduce_sum(p[:, 0] ** 3))
    pair = looked_at(regularized(), loop)
    assert "regularization_losses_missing" in [id_ for id_, *_ in named(pair)]


def test_a_penalty_too_small_to_be_seen_in_the_loss_is_told_and_not_named() -> None:
    """It may be there by hand."""
    faint = Practice(build=lambda: small_model(regularizer=keras.regularizers.L2(1e-9)))
    pair = looked_at(faint, Practice(loss=cross_entropy))
    assert not named(pair)
    assert pair.findings.unexplained[0].startswith("Dense.kernel_regularizer is None in custom")


def test_another_strength_of_a_regularizer_is_told() -> None:
    other = Practice(build=lambda: small_model(regularizer=keras.regularizers.L2(STRENGTH / 10)))
    pair = looked_at(regularized(), other)
    assert named(pair) == [("regularization_losses_missing", "custom_loop", 0)]


def normalized(momentum: float) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,))
    x = keras.layers.BatchNormalization(momentum=momentum)(keras.layers.Dense(4)(inputs))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax")(x))


def test_a_momentum_that_outputs_of_training_do_not_show_is_told() -> None:
    fit, loop = (Practice(build=lambda m=m: normalized(m)) for m in (0.99, 0.9))
    assert looked_at(fit, loop).findings.unexplained == [
        "BatchNormalization.momentum is 0.9 in custom_loop and 0.99 on the other side"
    ]


def test_settings_beside_a_layer_of_another_kind_are_compared() -> None:
    def build(rate: float) -> keras.Model:
        own = with_own_layer()
        inputs = keras.Input((5,))
        return keras.Model(inputs, keras.layers.Dropout(rate, seed=3)(own(inputs)))

    def usual() -> keras.Model:
        inputs = keras.Input((5,))
        return keras.Model(inputs, keras.layers.Dropout(0.2, seed=3)(small_model()(inputs)))

    pair = looked_at(Practice(build=usual), Practice(build=lambda: build(0.8)))
    assert ("dropout_rate_inverted", "custom_loop", 0) in named(pair)


def masked(losses_read: bool) -> Pair:
    """Outputs are the same; fit leaves out what the loop does not, and the gradients are others."""

    def plant(fit: Trace, loop: Trace) -> None:
        for step in loop.steps:
            step.gradients = [g + 0.1 for g in step.gradients if g is not None]

    pair = pair_of(plant=plant)
    check_losses(pair)
    fit = pair.losses["keras_fit"]
    fit.practice = replace(fit.practice, mask="targets not 0")
    if not losses_read:
        pair.losses.clear()
    pair.settings.append(
        LayerSetting("Embedding.mask_zero", "mask_zero", "custom_loop", False, True)
    )
    check_settings(pair)
    return pair


def test_a_mask_that_shows_in_the_loss_alone_is_named() -> None:
    assert named(masked(losses_read=True)) == [("mask_ignored", "custom_loop", 0)]


def test_where_no_loss_was_read_it_is_told() -> None:
    pair = masked(losses_read=False)
    assert not named(pair)
    assert "mask_zero is False in custom_loop" in pair.findings.unexplained[0]


def test_a_mask_that_changes_nothing_is_not() -> None:
    pair = looked_at(Practice(), Practice())
    setting = LayerSetting("Embedding.mask_zero", "mask_zero", "custom_loop", False, True)
    pair.settings.append(setting)
    check_settings(pair)
    assert nothing(pair)


def test_penalties_are_compared_where_batches_are_others() -> None:
    """The loop takes smaller batches, and adds the same by hand."""
    small = replace(by_hand(1.0), batch=4)
    pair = pair_of(regularized(), small)
    pair.unshuffled = True
    for check in (check_models, check_losses, check_settings):
        check(pair)
    assert nothing(pair)


def by_logits(y: object, p: object, w: object) -> tf.Tensor:
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, p, from_logits=True))


def without_softmax() -> keras.Model:
    model = small_model()
    model.layers[-1].activation = keras.activations.linear
    return model


def test_an_activation_that_is_in_the_loss_is_the_same_training() -> None:
    pair = looked_at(Practice(), Practice(build=without_softmax, loss=by_logits))
    assert nothing(pair)
    assert first_divergence(lockstep_tables(pair), 1e-5) is None
    assert nothing(looked_at(Practice(build=without_softmax, loss=by_logits), Practice()))


def test_one_that_is_in_neither_is_told() -> None:
    pair = looked_at(Practice(), Practice(build=without_softmax, loss=cross_entropy))
    assert any("activation" in line for line in pair.findings.unexplained)
    found = first_divergence(lockstep_tables(pair), 1e-5)
    assert found is not None
    assert found.stage == "forward output"
