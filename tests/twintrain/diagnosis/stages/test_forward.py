"""Forward passes, replayed with the training flag and without."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import Practice, named, nothing, pair_of, small_model
from twintrain.diagnosis.stages.forward import check_forward
from twintrain.diagnosis.watch.trace import Trace


def dropping() -> keras.Model:
    return small_model(dropout=0.4)


RIGHT = Practice(build=dropping)


@pytest.mark.parametrize("right", [RIGHT, Practice()], ids=["dropout", "nothing heeds the flag"])
def test_equal_forward_passes_name_nothing(right: Practice) -> None:
    pair = pair_of(right, right)
    check_forward(pair)
    assert nothing(pair)
    assert "training_flag_missing" in pair.findings.ruled_out


@pytest.mark.parametrize(("flag", "said"), [(None, "not given"), (False, "False")])
@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_a_missing_flag_is_named_with_the_outputs(side: str, flag: bool | None, said: str) -> None:
    off = Practice(build=dropping, training=flag)
    pair = pair_of(off, RIGHT) if side == "keras_fit" else pair_of(RIGHT, off)
    check_forward(pair)
    assert named(pair) == [("training_flag_missing", side, 0)]
    peaks, flagged = pair.findings.causes[0].evidence
    assert (flagged.observed, flagged.expected) == (said, "True")
    assert peaks.observed == peaks.replayed != peaks.correct


def test_a_flag_that_both_lack_is_no_difference() -> None:
    off = Practice(build=dropping, training=None)
    pair = pair_of(off, off)
    check_forward(pair)
    assert nothing(pair)


def test_half_precision_on_one_side_is_named() -> None:
    def half() -> keras.Model:
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            return small_model()
        finally:
            keras.config.set_dtype_policy("float32")

    pair = pair_of(loop=Practice(build=half))
    check_forward(pair)
    assert named(pair) == [("precision_differs", "custom_loop", 0)]
    evidence = pair.findings.causes[0].evidence[0]
    assert (evidence.observed, evidence.expected) == ("bfloat16", "float32")


def test_outputs_that_no_replay_gives_are_told() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        loop.steps[0].outputs = loop.steps[0].outputs * 1.01

    pair = pair_of(plant=plant)
    check_forward(pair)
    assert not pair.findings.causes
    assert pair.findings.unexplained == ["custom_loop: no replay gives the outputs of step 1"]


class Padded(keras.Model):
    """Negative inputs are padding; a subclass, because a functional model fixes its masks."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = keras.layers.Embedding(2, 4, mask_zero=True)
        self.mean = keras.layers.GlobalAveragePooling1D()
        self.head = keras.layers.Dense(3, "softmax")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.head(self.mean(self.embedding(tf.cast(inputs > 0, tf.int32))))


def padded() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = Padded()
    model(tf.zeros((1, 5)))
    return model


def test_outputs_without_the_mask_are_named() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        first = loop.steps[0]
        model = first.model
        for variable, value in zip(model.variables, first.before or [], strict=True):
            variable.assign(value)
        tokens = tf.cast(first.inputs > 0, tf.int32)
        mean = tf.reduce_mean(model.embedding(tokens), axis=1)  # over padding, too
        first.outputs = model.head(mean)

    right = Practice(build=padded)
    pair = pair_of(right, right, plant=plant)
    check_forward(pair)
    assert named(pair) == [("mask_ignored", "custom_loop", 0)]
    assert pair.findings.causes[0].first_visible == "forward output"
