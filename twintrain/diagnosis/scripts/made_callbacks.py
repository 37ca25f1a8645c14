"""What callbacks of a `fit` do, as code of a loop."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from twintrain.diagnosis.replay.early_stopping import maximises
from twintrain.diagnosis.replay.metric_objects import made_again
from twintrain.diagnosis.scripts.code_of import code_of

_INDENT = "    "
# Those that Keras adds by itself.
_ITS_OWN = (keras.callbacks.History, keras.callbacks.ProgbarLogger)


@dataclass
class WrittenCallbacks:
    """The callbacks of a `fit` that code is written for.

    Attributes:
        metrics: by the name in the history, what measures each figure of the evaluation that is
            gone by and is no loss, as code.
        values: makes anew what that code uses and no code was found for, by name.
        left_out: names of what no code is written for.
    """

    early: keras.callbacks.EarlyStopping | None = None
    plateau: keras.callbacks.ReduceLROnPlateau | None = None
    scheduled: keras.callbacks.LearningRateScheduler | None = None
    metrics: dict[str, str] = field(default_factory=dict)
    values: dict[str, Callable[[], Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def before_the_epochs(self) -> list[str]:
        """Lines that make what they remember."""
        lines = []
        if self.early is not None:
            lines.append(
                f"best, best_weights, waited = {_worst(self.early)}, model.get_weights(), 0"
            )
        if self.plateau is not None:
            lines.append(f"best_so_far, without_better, cooling = {_worst(self.plateau)}, 0, 0")
        return lines

    def before_an_epoch(self) -> list[str]:
        """Lines at the start of an epoch."""
        if self.scheduled is None:
            return []
        schedule = self.scheduled.schedule
        self.values["schedule"] = lambda: schedule
        both = len(inspect.signature(schedule).parameters) > 1
        given = "epoch, float(optimizer.learning_rate)" if both else "epoch"
        return [f"optimizer.learning_rate = schedule({given})"]

    def after_an_epoch(self) -> list[str]:
        """Lines at the end of an epoch, when the history has its figures."""
        lines = [] if self.plateau is None else _plateau_body(self.plateau)
        return lines + ([] if self.early is None else _early_body(self.early))

    def after_the_epochs(self) -> list[str]:
        """Lines when all is trained."""
        restores = self.early is not None and self.early.restore_best_weights
        return ["model.set_weights(best_weights)"] if restores else []


def written(given: Any, model: keras.Model, validates: bool) -> WrittenCallbacks:
    """Sort the callbacks that `fit` was given.

    Args:
        given: one of them, several, or a list that Keras made of them.
        model: was compiled with the metrics that they may go by.
        validates: whether the loop evaluates after each epoch.
    """
    found = WrittenCallbacks()
    callbacks = getattr(given, "callbacks", given) or []
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        kind = type(callback)
        if _does_as(callback, keras.callbacks.LearningRateScheduler) and found.scheduled is None:
            found.scheduled = callback
        elif _does_as(callback, keras.callbacks.EarlyStopping) and found.early is None:
            if _can_be_followed(callback, found, model, validates):
                found.early = callback
        elif _does_as(callback, keras.callbacks.ReduceLROnPlateau) and found.plateau is None:
            if _can_be_followed(callback, found, model, validates):
                found.plateau = callback
        elif not isinstance(callback, _ITS_OWN):
            found.left_out.append(kind.__name__)
    return found


def _does_as(callback: Any, kind: type) -> bool:
    """Whether it is of a class of Keras's, or of one made of it that trains in the same way."""
    names = ("on_epoch_begin", "on_epoch_end", "on_train_end", "get_monitor_value")
    return isinstance(callback, kind) and all(
        getattr(type(callback), name, None) is getattr(kind, name, None) for name in names
    )


def _can_be_followed(
    callback: keras.callbacks.Callback,
    found: WrittenCallbacks,
    model: keras.Model,
    validates: bool,
) -> bool:
    """Whether the loop has the figure that a callback goes by; that of a metric is added."""
    name = str(callback.monitor)
    known = name == "loss" or (validates and (name == "val_loss" or name in found.metrics))
    if known:
        return True
    metric = _metric_of(model, name.removeprefix("val_")) if validates else None
    if metric is None or not name.startswith("val_"):
        found.left_out.append(f"{type(callback).__name__} on {name}")
        return False
    # What a wrapper wraps is a function, which has no code of its own here.
    wraps = type(metric) is keras.metrics.MeanMetricWrapper
    code = None if wraps else code_of(metric)
    if code is None:
        made = re.sub(r"\W", "_", f"{metric.name}_of_fit")
        found.values[made] = lambda: made_again(metric)[0]
        code = made
    found.metrics[name] = code
    return True


def _metric_of(model: keras.Model, name: str) -> keras.Metric | None:
    """The metric of that name that a model with one output was compiled with, if it can be made
    again.
    """
    compiled = getattr(model, "_compile_metrics", None)
    if len(keras.tree.flatten(getattr(model, "outputs", None) or [None])) != 1:
        return None
    for metric in getattr(compiled, "metrics", None) or []:
        if metric.name != name or type(metric) in (keras.metrics.Mean, keras.metrics.Sum):
            continue
        try:
            made_again(metric)
        except Exception:  # a class of the user's own, with arguments that it does not describe
            return None
        return metric
    return None


def _worst(callback: keras.callbacks.Callback) -> str:
    return 'float("-inf")' if maximises(callback) else 'float("inf")'


def _better(callback: keras.callbacks.Callback, best: str) -> str:
    """The condition under which `watched` is better than the best so far."""
    more, delta = maximises(callback), abs(float(callback.min_delta))
    limit = f"{best} {'+' if more else '-'} {delta!r}" if delta else best
    return f"watched {'>' if more else '<'} {limit}"


def _plateau_body(plateau: keras.callbacks.ReduceLROnPlateau) -> list[str]:
    """What `ReduceLROnPlateau` does at the end of an epoch."""
    lines = [
        f'watched = history["{plateau.monitor}"][-1]',
        "if cooling:",
        f"{_INDENT}cooling, without_better = cooling - 1, 0",
        f"if {_better(plateau, 'best_so_far')}:",
        f"{_INDENT}best_so_far, without_better = watched, 0",
        "elif not cooling:",
        f"{_INDENT}without_better += 1",
        f"{_INDENT}rate = float(optimizer.learning_rate)",
        f"{_INDENT}if without_better >= {plateau.patience} and rate > {plateau.min_lr!r}:",
        f"{2 * _INDENT}optimizer.learning_rate = "
        f"max(rate * {plateau.factor!r}, {plateau.min_lr!r})",
        f"{2 * _INDENT}cooling, without_better = {plateau.cooldown}, 0",
    ]
    if not plateau.cooldown:  # nothing ever cools
        lines = [line for line in lines if "cooling, without_better = cooling" not in line]
        lines.remove("if cooling:")
        lines = [line.replace("elif not cooling:", "else:") for line in lines]
        lines[-1] = f"{2 * _INDENT}without_better = 0"
    return lines


def _early_body(early: keras.callbacks.EarlyStopping) -> list[str]:
    """What `EarlyStopping` does at the end of an epoch."""
    lines = [f'watched = history["{early.monitor}"][-1]']
    if early.start_from_epoch:
        lines.append(f"if epoch < {early.start_from_epoch}:")
        lines.append(f"{_INDENT}continue")
    restore = bool(early.restore_best_weights)
    lines.append(f"if {_better(early, 'best')}:")
    kept = "best, best_weights, waited = watched, model.get_weights(), 0"
    lines.append(f"{_INDENT}{kept if restore else 'best, waited = watched, 0'}")
    lines.append("else:")
    lines.append(f"{_INDENT}waited += 1")
    lines.append(f"{_INDENT}if waited >= {max(1, early.patience)}:")
    lines.append(f"{2 * _INDENT}break")
    return lines
