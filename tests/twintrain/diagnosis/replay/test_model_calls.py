"""Models called again with earlier weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import Practice, pair_of, small_model
from twintrain.diagnosis.replay.model_calls import (
    call_model,
    compute_dtype,
    forward,
    in_both_modes,
    outputs_of,
    weights_of,
    whole_call,
)
from twintrain.diagnosis.watch.trace import Call, CompleteStep, snapshot

X = np.ones((2, 5), np.float32)


def test_weights_are_put_in_for_a_while() -> None:
    model = small_model()
    before = snapshot(model)
    with weights_of(model, [value + 1 for value in before]):
        assert np.array_equal(snapshot(model)[0], before[0] + 1)
    assert all(map(np.array_equal, snapshot(model), before))


def test_weights_are_put_back_when_the_call_fails() -> None:
    model = small_model()
    before = snapshot(model)
    with pytest.raises(KeyError), weights_of(model, [value + 1 for value in before]):
        raise KeyError
    assert all(map(np.array_equal, snapshot(model), before))


def test_a_step_is_replayed_with_the_weights_and_the_dropout_mask_it_had() -> None:
    right = Practice(build=lambda: small_model(dropout=0.5))
    step = pair_of(right, right).fit.close[3]
    (seen,) = outputs_of(step.outputs)
    assert np.array_equal(outputs_of(forward(step, True))[0], seen)
    ((_, with_flag, without),) = in_both_modes(step)
    assert np.array_equal(with_flag[0], seen)
    assert np.array_equal(without[0], outputs_of(forward(step, False))[0])
    assert np.abs(outputs_of(forward(step, False))[0] - seen).max() > 1e-3


def test_a_model_that_takes_no_flag_is_called_without() -> None:
    class Plain(keras.Model):
        def call(self, inputs: object) -> object:
            return inputs

    assert np.array_equal(call_model(Plain(), X, True), X)


def test_outputs_are_float32_one_after_the_other() -> None:
    half = keras.ops.cast(X, "bfloat16")
    found = outputs_of({"a": half, "b": [X]})
    assert [p.dtype for p in found] == [np.float32] * 2
    assert all(np.array_equal(p, X) for p in found)


def test_the_type_a_model_computes_in() -> None:
    assert compute_dtype(small_model()) == "float32"


def in_parts(model: keras.Model, between: float = 1.0) -> CompleteStep:
    """A step whose calls are those of the layers of a model, what goes between them multiplied."""
    calls, value = [], tf.constant(X)
    for layer in model.layers[1:]:
        inputs = value if between == 1.0 else value * between
        value = layer(inputs, training=True)
        calls.append(Call(layer, (inputs,), {"training": True}, True, value))
    weights = snapshot(model)
    step = CompleteStep(
        model, X, True, value, None, 0.0, before=weights, after=weights, target=0.0, number=0
    )
    step.calls = calls
    return step


def test_calls_that_feed_each_other_are_made_again_as_one() -> None:
    model = small_model()
    step = in_parts(model)
    again = whole_call(step)
    assert again is not None
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(again()[:, 0])
    assert np.array_equal(again(), step.outputs)
    assert all(g is not None for g in tape.gradient(total, model.trainable_variables))


def test_calls_that_the_model_does_not_compose_are_not_one() -> None:
    assert whole_call(in_parts(small_model(), between=2.0)) is None


def test_calls_that_amount_to_the_model_are_made_again_by_it() -> None:
    step = in_parts(small_model(), between=1.0)
    # Not the same tensor, so what feeds what cannot be told.
    last = step.calls[-1]
    last.arguments = (tf.identity(last.arguments[0]),)
    again = whole_call(step)
    assert again is not None
    assert np.allclose(again(), step.outputs)


def test_a_call_in_inference_uses_what_an_earlier_one_in_training_left() -> None:
    layer = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((5,)), layer])
    x = tf.constant(np.random.default_rng(0).normal(3.0, 2.0, (8, 5)).astype("float32"))
    weights = snapshot(model)
    calls = [
        Call(model, (x,), {"training": flag}, flag, model(x, training=flag))
        for flag in (True, False)
    ]
    step = CompleteStep(
        model, x, True, None, None, 0.0, before=weights, after=weights, target=0.0, number=0
    )
    step.calls = calls
    first, second = in_both_modes(step)
    assert np.allclose(first.with_flag[0], calls[0].outputs)
    assert np.allclose(second.without[0], calls[1].outputs)
    assert not np.allclose(second.without[0], first.without[0])


def test_a_fixed_batch_dimension_takes_any_number_of_rows() -> None:
    series = keras.Input(batch_shape=(4, 3, 1))
    memory = keras.layers.GRU(2, stateful=True)
    model = keras.Model(series, memory(series))
    x = np.random.default_rng(0).normal(size=(6, 3, 1)).astype("float32")
    memory.reset_state()
    found = np.asarray(call_model(model, x, False))
    assert found.shape == (6, 2)
    memory.reset_state()
    assert np.allclose(found[:4], model(x[:4]))


def test_what_recurrent_layers_carry_is_put_back() -> None:
    series = keras.Input(batch_shape=(4, 3, 1))
    memory = keras.layers.GRU(2, stateful=True)
    model = keras.Model(series, memory(series))
    x = np.ones((4, 3, 1), np.float32)
    first = np.asarray(model(x))
    carried = np.asarray(memory.states[0])
    with weights_of(model, snapshot(model), [np.zeros((4, 2), np.float32)]):
        assert np.allclose(model(x), first)
    assert np.array_equal(memory.states[0], carried)
