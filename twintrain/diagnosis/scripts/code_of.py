"""Keras objects as the Python that makes them."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.optimizer_config import config_of

# Fields of a configuration that say nothing, or that Keras fills in by itself.
_SILENT = {"name", "dtype", "fn", "jit_compile", "is_legacy_optimizer", "loss_scale_factor"}


def code_of(thing: Any, learning_rate: float | None = None) -> str | None:
    """The call that makes an optimizer, schedule, loss, metric or callback of Keras like this one.

    Args:
        thing: an object of a class of Keras's.
        learning_rate: of an optimizer, where it is another one by now.

    Returns:
        None for what is not Keras's own, or does not describe itself.
    """
    kind = type(thing)
    home = _HOMES.get(next((base for base in kind.__mro__ if base in _HOMES), object))
    if not kind.__module__.startswith("keras.") or home is None:
        return None
    try:
        config = config_of(thing) if isinstance(thing, keras.Optimizer) else thing.get_config()
    except Exception:  # whatever an object raises that cannot describe itself
        return None
    if "learning_rate" in config:
        rate = getattr(thing, "_learning_rate", None)
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            config["learning_rate"] = rate
        elif learning_rate is not None:
            config["learning_rate"] = _rounded(learning_rate)
    parameters = inspect.signature(kind.__init__).parameters
    told = []
    for name, value in config.items():
        parameter = parameters.get(name)
        default = parameter.default if parameter is not None else None
        same = _same(value, default)
        if name in _SILENT or parameter is None or (same and name != "learning_rate"):
            continue
        said = _said(value)
        if said is None:
            return None
        told.append(f"{name}={said}")
    return f"keras.{home}.{kind.__name__}({', '.join(told)})"


_HOMES: dict[type, str] = {
    keras.optimizers.Optimizer: "optimizers",
    keras.optimizers.schedules.LearningRateSchedule: "optimizers.schedules",
    keras.losses.Loss: "losses",
    keras.metrics.Metric: "metrics",
}


def _said(value: Any) -> str | None:
    if value is None or isinstance(value, (bool, int, str)):
        return repr(value)
    if isinstance(value, (float, np.floating)):
        return repr(_rounded(float(value)))
    if isinstance(value, (list, tuple)):
        parts = [_said(part) for part in value]
        return None if None in parts else f"[{', '.join(str(part) for part in parts)}]"
    return code_of(value)


def _rounded(value: float) -> float:
    """A float32 as the shortest figure it may have been written as."""
    return float(f"{value:.7g}")


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, float) and isinstance(default, float):
        return bool(np.isclose(value, default, rtol=1e-6))
    return bool(value == default)
