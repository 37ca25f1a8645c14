"""What an optimizer is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from twintrain.diagnosis.replay.optimizer_config import config_of
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
