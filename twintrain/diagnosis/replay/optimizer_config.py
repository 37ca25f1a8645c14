"""What an optimizer is made of, also where its schedule cannot describe itself."""

from __future__ import annotations

from typing import Any

import keras


def config_of(optimizer: keras.Optimizer) -> dict[str, Any]:
    """`optimizer.get_config()`, in which a schedule of the user's own stands as it is: few of these
    have a `get_config`, and Keras finds none of them by its name.

    Raises:
        Exception: what the `get_config` of an optimizer of the user's own raises.
    """
    rate = getattr(optimizer, "_learning_rate", None)
    schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    if not schedule or type(rate).__module__.startswith("keras."):
        found: dict[str, Any] = optimizer.get_config()
        return found
    # Not by the optimizer's own __setattr__, which would track it.
    object.__setattr__(optimizer, "_learning_rate", None)
    try:
        return optimizer.get_config() | {"learning_rate": rate}
    finally:
        object.__setattr__(optimizer, "_learning_rate", rate)
