"""Replays updates: the optimizer a side used, put into the state it had, given the gradients it
got.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.compare import each_close, gradients_agree
from twintrain.diagnosis.replay.tolerances import CLIPPED, SHRUNK, TINY_NORM, UNTOUCHED
from twintrain.diagnosis.watch.trace import Applied, Arrays, CompleteStep, value_of

# Not part of what an optimizer is: its name, and what has a reading of its own (rate, clipping,
# averaging, scaling).
_ASIDE = {
    "name",
    "learning_rate",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
}


def inner(optimizer: keras.Optimizer) -> keras.Optimizer:
    """The optimizer inside a LossScaleOptimizer, or itself."""
    found: keras.Optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return found


def settings(optimizer: keras.Optimizer) -> dict[str, Any]:
    """Class and hyperparameters, without those that are read apart."""
    core = inner(optimizer)
    return {"class": type(core).__name__} | {
        k: v for k, v in core.get_config().items() if k not in _ASIDE
    }


def copy_of(optimizer: keras.Optimizer, variables: list[keras.Variable]) -> keras.Optimizer:
    """A fresh optimizer of the same settings, built for some variables."""
    twin: keras.Optimizer = type(optimizer).from_config(optimizer.get_config())
    twin.build(variables)
    return twin


def replay_update(step: CompleteStep) -> Arrays | None:
    """All of `model.variables` after the update of a step, from the weights, state and gradients
    before it; None where no optimizer was seen, or its state was not.

    Variables no optimizer touches keep what they were before the step.
    """
    applied = step.applied
    if applied is None:
        return None
    after = [value.copy() for value in step.before]
    for part in applied.parts or [applied]:
        copies = _replay_part(step, part)
        if copies is None:
            return None
        for position, variable in zip(part.variables, copies, strict=True):
            after[position] = value_of(variable)
    return after


def _replay_part(step: CompleteStep, applied: Applied) -> list[keras.Variable] | None:
    """The variables of one call of an optimizer after it; None where it cannot be replayed."""
    if -1 in applied.variables or not applied.state:
        return None
    copies = _copies(step, applied)
    try:
        optimizer = copy_of(applied.optimizer, copies)
        for variable, value in zip(optimizer.variables, applied.state, strict=True):
            variable.assign(value)
    except (ValueError, TypeError):
        return None  # built for other variables than it is applied to
    optimizer.apply(constants(applied.gradients), copies)
    return copies


def constants(gradients: list[np.ndarray | None]) -> list[Any]:
    """Gradients as an optimizer takes them."""
    return [None if g is None else tf.constant(g) for g in gradients]


def _copies(step: CompleteStep, applied: Applied) -> list[keras.Variable]:
    copies = []
    for position in applied.variables:
        original = step.model.variables[position]
        copy = keras.Variable(step.before[position], dtype=original.dtype, name=original.name)
        copy.constraint = getattr(original, "constraint", None)
        copies.append(copy)
    return copies


def clipping(optimizer: keras.Optimizer) -> tuple[str, float]:
    """How an optimizer clips, and at what."""
    core = inner(optimizer)
    for name, attribute in (
        ("per variable", "clipnorm"),
        ("global", "global_clipnorm"),
        ("value", "clipvalue"),
    ):
        limit = getattr(core, attribute, None)
        if limit is not None:
            return name, float(limit)
    return "none", 0.0


def clip(how: tuple[str, float], gradients: list[np.ndarray | None]) -> list[np.ndarray | None]:
    """Clip gradients."""
    kind, limit = how
    if kind == "value":
        return [None if g is None else np.clip(g, -limit, limit) for g in gradients]
    if kind == "per variable":
        return [
            None if g is None else g * min(1.0, limit / max(norm(g), TINY_NORM)) for g in gradients
        ]
    if kind == "global":
        factor = min(1.0, limit / max(global_norm(gradients), TINY_NORM))
        return [None if g is None else g * factor for g in gradients]
    return gradients


def norm(gradient: np.ndarray) -> float:
    """L2 norm."""
    return float(np.linalg.norm(gradient.astype(np.float64)))


def global_norm(gradients: list[np.ndarray | None]) -> float:
    """L2 norm over all gradients."""
    return float(np.sqrt(sum(norm(g) ** 2 for g in gradients if g is not None)))


def clipped_by_hand(
    raw: list[np.ndarray | None], applied: list[np.ndarray | None]
) -> tuple[str, float] | None:
    """How gradients were changed between the tape and the optimizer: ('none', 0), a way of
    clipping, or None if neither.
    """
    if len(raw) != len(applied):
        return None
    pairs = [(r, a) for r, a in zip(raw, applied, strict=True) if r is not None and a is not None]
    if any(r.shape != a.shape for r, a in pairs):
        return None
    if all(each_close(r, a, UNTOUCHED, equal_nan=True) for r, a in pairs):
        return "none", 0.0
    shrunk = [norm(a) for r, a in pairs if norm(a) < norm(r) * (1 - SHRUNK)]
    limits = {
        "global": global_norm(applied),
        "per variable": max(shrunk, default=0.0),
        "value": max(float(np.abs(a).max()) for _, a in pairs),
    }
    for kind, limit in limits.items():
        if limit and gradients_agree(clip((kind, limit), raw), applied, CLIPPED):
            return kind, limit
    return None
