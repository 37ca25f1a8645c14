"""Keras objects as Python: what is written makes an object like the first."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from twintrain.diagnosis.scripts.code_of import code_of

OBJECTS = [
    keras.optimizers.Adam(),
    keras.optimizers.AdamW(0.003, weight_decay=0.01, clipnorm=1.0),
    keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9), momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    keras.losses.Huber(delta=0.5),
    keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
]


def told(thing: Any) -> Any:
    config = thing.get_config()
    return {key: value for key, value in config.items() if key not in ("name", "loss_scale_factor")}


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: type(thing).__name__)
def test_it_makes_the_same_again(thing: Any) -> None:
    code = code_of(thing)
    assert code is not None
    again = eval(code, {"keras": keras})
    assert str(told(again)) == str(told(thing))


def test_what_is_somebodys_own_has_no_code() -> None:
    class Mine(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return y_pred

    assert code_of(Mine()) is None
    assert code_of(keras.optimizers.Adam(), 0.25) == "keras.optimizers.Adam(learning_rate=0.25)"
