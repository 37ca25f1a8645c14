"""What an optimizer is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from twintrain.diagnosis.replay.optimizer_config import config_of, excluded_names, not_decayed
from twintrain.diagnosis.replay.updates import copy_of, settings


class Warm(keras.optimizers.schedules.LearningRateSchedule):
    """As in the guides: without a `get_config`."""

    def __call__(self, step: Any) -> Any:
        return 0.1 * (keras.ops.cast(step, "float32") + 1.0)


class Described(Warm):
    """Says what it is made of; Keras does not know its class."""

    def get_config(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("made", [Warm, Described])
def test_a_schedule_of_the_users_own_goes_over_to_a_copy(made: Callable[[], Any]) -> None:
    rate = made()
    optimizer = keras.optimizers.Adam(rate, beta_1=0.8)
    assert config_of(optimizer)["learning_rate"] is rate
    assert optimizer._learning_rate is rate
    assert settings(optimizer)["beta_1"] == 0.8
    variable = keras.Variable(np.zeros(2, np.float32))
    copy = copy_of(optimizer, [variable])
    assert copy._learning_rate is rate
    assert float(copy.learning_rate) == pytest.approx(0.1)


def test_keras_own_rates_are_described_as_ever() -> None:
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))
    assert config_of(optimizer) == optimizer.get_config()
    optimizer = keras.optimizers.SGD(0.5)
    assert config_of(optimizer) == optimizer.get_config()


@pytest.mark.parametrize("told", [{"var_names": ["bias", "gamma"]}, {"var_list": 1}])
def test_what_is_excluded_from_weight_decay_goes_over_to_a_copy(told: dict[str, Any]) -> None:
    def variables() -> list[keras.Variable]:
        names = ("kernel", "bias", "other")
        return [keras.Variable(np.ones(2, np.float32), name=name) for name in names]

    ours, theirs = variables(), variables()
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    if "var_list" in told:
        optimizer.exclude_from_weight_decay([ours[1]])
    else:
        optimizer.exclude_from_weight_decay(**told)
    optimizer.build(ours)
    copy = copy_of(optimizer, theirs)
    gradients = [keras.ops.ones(2) * 0.1] * 3
    optimizer.apply(gradients)
    copy.apply(gradients)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert ours[1].numpy()[0] > ours[0].numpy()[0]
    assert not_decayed(optimizer) == not_decayed(copy) == (1,)
    assert settings(optimizer) == settings(copy)
    assert settings(copy) != settings(keras.optimizers.AdamW(0.1, weight_decay=0.5))
    assert excluded_names(copy) == told.get("var_names", [])


def test_single_variables_are_not_excluded_among_others() -> None:
    ours = [keras.Variable(np.ones(2, np.float32)) for _ in range(2)]
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([ours[1]])
    optimizer.build(ours)
    with pytest.raises(ValueError, match="not among these"):
        copy_of(optimizer, [keras.Variable(np.ones(3, np.float32))])
