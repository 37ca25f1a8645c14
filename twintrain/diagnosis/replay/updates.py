"""Replays updates: the optimizer a side used, put into the state it had, given the gradients it
got.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.trace import Applied, Arrays, Step, value_of

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


def scheduled(optimizer: keras.Optimizer) -> Any:
    """The configuration of a learning-rate schedule, None where the rate is a number."""
    rate = inner(optimizer).get_config().get("learning_rate")
    return rate if isinstance(rate, dict) else None


def copy_of(optimizer: keras.Optimizer, variables: list[keras.Variable]) -> keras.Optimizer:
    """A fresh optimizer of the same settings, built for some variables."""
    twin: keras.Optimizer = type(optimizer).from_config(optimizer.get_config())
    twin.build(variables)
    return twin


def replay_update(step: Step, gradients: list[np.ndarray | None] | None = None) -> Arrays | None:
    """All of `model.variables` after the update of a step, from the weights, state and gradients
    before it.

    Variables the optimizer does not touch keep what they were before the step.
    """
    applied, before = step.applied, step.before
    if applied is None or before is None or -1 in applied.variables or not applied.state:
        return None
    after = [value.copy() for value in before]
    copies = _copies(step, applied, before)
    try:
        optimizer = copy_of(applied.optimizer, copies)
        for variable, value in zip(optimizer.variables, applied.state, strict=True):
            variable.assign(value)
    except (ValueError, TypeError):
        return None  # built for other variables than it is applied to
    used = applied.gradients if gradients is None else gradients
    optimizer.apply([None if g is None else tf.constant(g) for g in used], copies)
    for position, variable in zip(applied.variables, copies, strict=True):
        after[position] = value_of(variable)
    return after


def _copies(step: Step, applied: Applied, before: Arrays) -> list[keras.Variable]:
    copies = []
    for position in applied.variables:
        original = step.model.variables[position]
        copy = keras.Variable(before[position], dtype=original.dtype, name=original.name)
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
        return [None if g is None else g * min(1.0, limit / max(norm(g), 1e-30)) for g in gradients]
    if kind == "global":
        factor = min(1.0, limit / max(global_norm(gradients), 1e-30))
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
    pairs = [(r, a) for r, a in zip(raw, applied, strict=True) if r is not None and a is not None]
    if len(raw) != len(applied) or any(r.shape != a.shape for r, a in pairs):
        return None
    if all(np.allclose(r, a, rtol=1e-5, atol=1e-9, equal_nan=True) for r, a in pairs):
        return "none", 0.0
    top = max(float(np.abs(a).max()) for _, a in pairs)
    limits = {
        "global": global_norm(applied),
        "per variable": max(
            (norm(a) for r, a in pairs if norm(a) < norm(r) * (1 - 1e-5)), default=0.0
        ),
        "value": top,
    }
    for kind, limit in limits.items():
        if limit and _matches(clip((kind, limit), raw), applied):
            return kind, limit
    return None


def _matches(a: list[np.ndarray | None], b: list[np.ndarray | None]) -> bool:
    return all(
        x is None or y is None or np.allclose(x, y, rtol=1e-4, atol=1e-9)
        for x, y in zip(a, b, strict=True)
    )
