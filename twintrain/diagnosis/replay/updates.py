"""Replays updates: the optimizer a side used, put into the state it had, given the gradients it
got.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.clipping import ARGUMENTS
from twintrain.diagnosis.replay.optimizer_config import config_of, exclude_alike, not_decayed
from twintrain.diagnosis.watch.trace import Applied, Arrays, CompleteStep, Step, value_of
from twintrain.diagnosis.watch.weight_order import counted_weights

# Not part of what an optimizer is: its name, and what has a reading of its own (rate, clipping,
# averaging, scaling).
_ASIDE = {
    "name",
    "learning_rate",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
    *ARGUMENTS.values(),
}

# Among the settings, the variables that are not decayed.
NOT_DECAYED = "variables without weight decay"

Gradients = list[np.ndarray | None]


def inner(optimizer: keras.Optimizer) -> keras.Optimizer:
    """The optimizer inside a LossScaleOptimizer, or itself."""
    found: keras.Optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return found


def settings(optimizer: keras.Optimizer) -> dict[str, Any]:
    """Class and hyperparameters, without those that are read apart."""
    core = inner(optimizer)
    found = {"class": type(core).__name__} | {
        k: v for k, v in config_of(core).items() if k not in _ASIDE
    }
    spared = not_decayed(core)
    return found | {NOT_DECAYED: spared} if spared else found


def replicas(optimizer: keras.Optimizer) -> int:
    """How many devices an optimizer was made for."""
    strategy = getattr(inner(optimizer), "_distribution_strategy", None)
    return int(getattr(strategy, "num_replicas_in_sync", 1))


def copy_of(
    optimizer: keras.Optimizer,
    variables: list[keras.Variable],
    clips: bool = True,
    originals: list[keras.Variable] | None = None,
) -> keras.Optimizer:
    """A fresh optimizer of the same settings, built for some variables.

    Args:
        optimizer: is left as it is.
        variables: it will update.
        clips: keep its own clipping.
        originals: for each of the variables, the optimizer's own; None where they are in its order.

    Raises:
        ValueError: it does not describe itself, or what is in it does not.
    """
    try:
        config = config_of(optimizer)
    except NotImplementedError as error:
        raise ValueError(str(error)) from error
    if not clips:
        config |= {name: None for name in ARGUMENTS.values() if name in config}
    twin: keras.Optimizer = type(optimizer).from_config(config)
    twin.build(variables)
    exclude_alike(inner(optimizer), inner(twin), variables, originals)
    return twin


class _Twin(NamedTuple):
    """An optimizer made again, the variables it is built for, and its state when it was new."""

    optimizer: keras.Optimizer
    copies: list[keras.Variable]
    fresh: Arrays


# Twins of optimizers, as long as these live, by what they are built for: making one takes longer
# than an update.
_TWINS: WeakKeyDictionary[keras.Optimizer, dict[Any, _Twin]] = WeakKeyDictionary()


def _twin_of(original: keras.Optimizer, step: Step, positions: list[int], clips: bool) -> _Twin:
    """A twin of an optimizer for some variables of the model of a step, with any values in them:
    the same one each time. Of a class of the user's own, which may keep more than is in its
    variables, a new one.

    Raises:
        ValueError, TypeError: it cannot be made again.
    """
    variables = [counted_weights(step.model)[position] for position in positions]
    key = (clips, *((v.name, tuple(v.shape), str(v.dtype)) for v in variables))
    known = _TWINS.setdefault(original, {})
    if key not in known:
        copies = _copies(step, positions)
        optimizer = copy_of(original, copies, clips, variables)
        made = _Twin(optimizer, copies, [value_of(v) for v in optimizer.variables])
        kinds = (type(original), type(inner(original)))
        if not all(kind.__module__.startswith("keras.") for kind in kinds):
            return made
        known[key] = made
    found = known[key]
    for variable, copy in zip(variables, found.copies, strict=True):
        copy.constraint = getattr(variable, "constraint", None)
    return found


def replay_update(
    step: CompleteStep,
    *,
    gradients: Gradients | None = None,
    state: Arrays | None = None,
    rate: float | None = None,
    clips: bool = True,
) -> Arrays | None:
    """All of the model's weights after the update of a step, from the weights, state and gradients
    before it; None where no optimizer was seen, or its state was not.

    Variables no optimizer touches keep what they were before the step.

    Args:
        step: whose update is made again.
        gradients: instead of those the optimizer got.
        state: of the optimizer (the first, where there are several), instead of its own.
        rate: instead of its own.
        clips: the optimizer clips as it does.
    """
    applied = step.applied
    if applied is None:
        return None
    after = [value.copy() for value in step.before]
    given = dict(zip(applied.variables, gradients or applied.gradients, strict=False))
    for part in parts_of(applied):
        if -1 in part.variables or not part.state:
            return None
        handed = [given.get(position) for position in part.variables]
        own = part.state if state is None else state
        again = _apply_again(part, step, handed, own, rate, clips)
        if again is None:
            return None
        for position, value in zip(part.variables, again, strict=True):
            after[position] = value
    return after


def parts_of(applied: Applied) -> list[Applied]:
    """The calls of optimizers that an update is made of."""
    return applied.parts or [applied]


def _apply_again(
    part: Applied,
    step: CompleteStep,
    gradients: Gradients,
    state: Arrays,
    rate: float | None,
    clips: bool,
) -> Arrays | None:
    """The variables of an update as the optimizer leaves them from some state; None where it is
    one that cannot be made again.
    """
    try:
        optimizer, copies, _ = _twin_of(part.optimizer, step, part.variables, clips)
        for variable, value in zip(optimizer.variables, state, strict=True):
            variable.assign(value)
    except (ValueError, TypeError):
        return None  # built for other variables than it is applied to
    for position, copy in zip(part.variables, copies, strict=True):
        copy.assign(step.before[position])
    with _rate_of(optimizer, rate):
        optimizer.apply(constants(gradients), copies)
    return [value_of(copy) for copy in copies]


def fresh_state(step: Step) -> Arrays | None:
    """What the optimizer of a step held when it was new; None where a copy cannot be made."""
    if step.applied is None or -1 in step.applied.variables:
        return None
    applied = parts_of(step.applied)[0]
    try:
        return list(_twin_of(applied.optimizer, step, applied.variables, clips=True).fresh)
    except (ValueError, TypeError):
        return None


class Update(NamedTuple):
    """Gradients, and the variables they are of (positions among the model's weights)."""

    step: Step
    positions: list[int]
    gradients: Gradients


def updates_of(steps: Sequence[Step]) -> list[Update]:
    """What was handed to the optimizer, step by step; where no step has one, the tape's
    gradients.
    """
    found = []
    for step in steps:
        if step.applied is not None:
            found.append(Update(step, step.applied.variables, step.applied.gradients))
    if found:
        return found
    for step in steps:
        known = [(p, g) for p, g in zip(step.sources, step.gradients, strict=False) if p >= 0]
        if known:
            found.append(Update(step, [p for p, _ in known], [g for _, g in known]))
    return found


def replay_from_start(
    updates: Sequence[Update],
    applied: Sequence[Applied],
    *,
    constrained: bool = True,
    clips: bool = True,
) -> Iterator[tuple[Step, Arrays]]:
    """Updates by a fresh optimizer that is given all gradients in turn: after each step that kept
    its weights, that step, and all of the model's weights as they would be.

    The weights are those of the step each time, so only the state of the optimizer is carried on.

    Args:
        updates: of one side; all of the same variables, else nothing is replayed.
        applied: of the other side: its settings in the first one, its learning rates.
        constrained: the constraints of the weights are applied.
        clips: the optimizer clips as it does.
    """
    first = updates[0]
    if first.step.before is None or any(u.positions != first.positions for u in updates):
        return
    copies = _copies(first.step, first.positions, constrained)
    try:
        optimizer = copy_of(applied[0].optimizer, copies, clips)
    except (ValueError, TypeError):
        return
    for number, update in enumerate(updates):
        before = update.step.before
        if before is not None:
            for position, copy in zip(update.positions, copies, strict=True):
                copy.assign(before[position])
        _set_rate(optimizer, applied[min(number, len(applied) - 1)].learning_rate)
        optimizer.apply(constants(update.gradients), copies)
        if before is not None:
            yield update.step, _with(update.step, update.positions, copies)


class _Constant(keras.optimizers.schedules.LearningRateSchedule):
    """One rate for ever, in the place of a schedule."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    def __call__(self, step: Any) -> Any:
        return tf.constant(self._rate)

    def get_config(self) -> dict[str, Any]:
        """What makes it again."""
        return {"rate": self._rate}


def has_schedule(optimizer: keras.Optimizer) -> bool:
    """Whether its rate follows from the number of its updates."""
    kind = keras.optimizers.schedules.LearningRateSchedule
    return isinstance(getattr(inner(optimizer), "_learning_rate", None), kind)


def _set_rate(optimizer: keras.Optimizer, rate: float) -> None:
    core = inner(optimizer)
    if has_schedule(core):
        core._learning_rate = _Constant(rate)
    else:
        core.learning_rate = rate


@contextmanager
def _rate_of(optimizer: keras.Optimizer, rate: float | None) -> Iterator[None]:
    """Let an optimizer have another rate for a while, and its schedule back after it."""
    core = inner(optimizer)
    schedule = core._learning_rate if has_schedule(core) else None
    if rate is not None:
        _set_rate(optimizer, rate)
    try:
        yield
    finally:
        if schedule is not None:
            core._learning_rate = schedule


def constants(gradients: Gradients) -> list[Any]:
    """Gradients as an optimizer takes them; as slices where they came so."""
    return [None if g is None else getattr(g, "slices", None) or tf.constant(g) for g in gradients]


def _copies(step: Step, positions: list[int], constrained: bool = True) -> list[keras.Variable]:
    copies = []
    for position in positions:
        original = counted_weights(step.model)[position]
        before = step.before[position] if step.before else value_of(original)
        copy = keras.Variable(before, dtype=original.dtype, name=original.name)
        copy.constraint = getattr(original, "constraint", None) if constrained else None
        copies.append(copy)
    return copies


def _with(step: Step, positions: list[int], copies: list[keras.Variable]) -> Arrays:
    after = [value.copy() for value in step.before or []]
    for position, variable in zip(positions, copies, strict=True):
        after[position] = value_of(variable)
    return after
