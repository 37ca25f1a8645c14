"""An optimizer as it is written in code, as far as it differs from another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from twintrain.diagnosis.replay.optimizer_config import config_of, excluded_names, not_decayed
from twintrain.diagnosis.replay.updates import NOT_DECAYED, has_schedule, inner
from twintrain.diagnosis.stages.findings import say
from twintrain.diagnosis.watch.trace import Applied


def written(applied: Applied, differing: Iterable[str] = ()) -> str:
    """The call that makes an optimizer, with its rate and the settings that differ.

    Args:
        applied: one update by it.
        differing: names of settings.
    """
    core = inner(applied.optimizer)
    config = config_of(core)
    given = {"learning_rate": rate_written(applied)}
    given |= {name: _literal(config[name]) for name in differing if name in config}
    arguments = ", ".join(f"{name}={value}" for name, value in given.items())
    made = f"keras.optimizers.{type(core).__name__}({arguments})"
    if NOT_DECAYED not in differing:
        return made
    if not not_decayed(core):
        return f"{made} without exclude_from_weight_decay"
    names = excluded_names(core)
    return f"{made} with exclude_from_weight_decay({f'var_names={names!r}' if names else '...'})"


def rate_written(applied: Applied) -> str:
    """The learning rate: a number, or the schedule that gives it."""
    core = inner(applied.optimizer)
    if not has_schedule(core):
        return say(applied.learning_rate)
    return schedule_written(core._learning_rate)


def schedule_written(schedule: keras.optimizers.schedules.LearningRateSchedule) -> str:
    """The call that makes a schedule; its class where it does not say what it is made of."""
    name = type(schedule).__name__
    try:
        config = schedule.get_config()
    except Exception:  # of a schedule of the user's own; what is found is named all the same
        return f"{name}(...)"
    arguments = ", ".join(
        f"{key}={_literal(value)}"
        for key, value in config.items()
        if key != "name" and value not in (None, False)
    )
    return f"keras.optimizers.schedules.{name}({arguments})"


def _literal(value: Any) -> str:
    return say(value) if isinstance(value, float) else repr(value)
