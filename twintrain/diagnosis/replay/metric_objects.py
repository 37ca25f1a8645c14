"""Metric objects that a side has, made again to compute their figure from what was seen."""

from __future__ import annotations

import keras
import numpy as np

from twintrain.diagnosis.replay.definitions import Answers, Definition, Sums
from twintrain.diagnosis.watch.trace import value_of


def of_metric(metric: keras.Metric, figure: str) -> Definition | None:
    """What a metric object computes from targets and outputs; None where it is a mean of numbers
    handed to it, or cannot be made again.
    """
    if type(metric) in (keras.metrics.Mean, keras.metrics.Sum):
        return None
    try:
        again, config = made_again(metric)
    except Exception:  # a class of the user's own, with arguments that are not in its configuration
        return None

    def sums(a: Answers) -> Sums:
        again.reset_state()
        again.update_state(a.y, a.p, sample_weight=a.counts)
        found = np.empty(len(again.variables), object)
        for number, variable in enumerate(again.variables):
            found[number] = value_of(variable).astype(np.float64)
        return found

    def finish(found: Sums) -> float:
        for variable, value in zip(again.variables, found, strict=True):
            variable.assign(np.asarray(value).astype(variable.dtype))
        result = again.result()
        return float(result) if np.ndim(result) == 0 else float("nan")

    said = f"{type(metric).__name__}({_settings(metric, config)})"
    return Definition(figure, said, False, sums, finish, f"keras.metrics.{said}.")


def made_again(metric: keras.Metric) -> tuple[keras.Metric, dict[str, object]]:
    """A metric like this one, without what it has counted, and its settings."""
    if type(metric) is keras.metrics.MeanMetricWrapper:  # of a function that need not be registered
        function, given = metric._fn, metric._fn_kwargs
        name = getattr(function, "__name__", type(function).__name__)
        made = keras.metrics.MeanMetricWrapper(function, metric.name, metric.dtype, **given)
        return made, {"fn": name, **given}
    config = metric.get_config()
    return type(metric).from_config(config), config


def _settings(metric: keras.Metric, config: dict[str, object]) -> str:
    """The settings in a configuration, as arguments, without those of a metric made with none."""
    try:
        usual = type(metric)().get_config()
    except Exception:  # it cannot be made with none
        usual = {}
    return ", ".join(
        f"{name}={value!r}"
        for name, value in config.items()
        if name not in ("name", "dtype")
        and isinstance(value, (bool, int, float, str))
        and value != usual.get(name)
    )
