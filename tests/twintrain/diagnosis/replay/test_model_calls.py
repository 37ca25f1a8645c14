"""Models called again with earlier weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import Practice, pair_of, small_model
from twintrain.diagnosis.replay.model_calls import (
    call_model,
    compute_dtype,
    forward,
    outputs_of,
    weights_of,
)
from twintrain.diagnosis.watch.trace import snapshot

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
