"""Lockstep of two traces: step by step, every tensor the two sides have in common."""

from __future__ import annotations

import keras
import numpy as np

from twintrain.diagnosis.stages.findings import Pair, largest, trainable_positions
from twintrain.diagnosis.watch.frozen_rows import as_rows
from twintrain.diagnosis.watch.trace import Step
from twintrain.parity.divergence import Difference, Divergence
from twintrain.parity.lockstep import Observation, compare


def lockstep_tables(pair: Pair) -> list[list[Difference]]:
    """Per step that both sides kept in full, from the first on, every tensor compared."""
    count = min(len(pair.fit.close), len(pair.loop.close))
    tables = []
    for number in range(count):
        if pair.fit.close[number] != number or pair.loop.close[number] != number:
            break
        tables.append(compare(_observe(pair.fit.steps[number]), _observe(pair.loop.steps[number])))
    return tables


def _observe(step: Step) -> Observation:
    assert step.after is not None
    model = step.model
    trainable = trainable_positions(model)
    rest = [i for i in range(len(model.variables)) if i not in trainable]
    outputs = {
        f"predictions[{i}]": np.asarray(keras.ops.cast(t, "float32"))
        for i, t in enumerate(keras.tree.flatten(step.outputs))
    }
    gradients = {
        model.variables[p].path if p >= 0 else "another variable": np.zeros(0, np.float32)
        if g is None
        else g
        for p, g in zip(step.sources, step.gradients, strict=False)
    }
    return {
        "batch": {"inputs": as_rows(step.inputs)},
        "forward output": outputs,
        "loss": {"total": np.float32(step.target or 0.0)},  # type: ignore[dict-item]
        "gradient": gradients,
        "update": {model.variables[p].path: step.after[p] for p in trainable},
        "non-trainable state": {model.variables[p].path: step.after[p] for p in rest},
    }


def first_divergence(tables: list[list[Difference]], tolerance: float) -> Divergence | None:
    """The first tensor, in the order in which things happen, that differs by more than the
    tolerance.
    """
    for number, table in enumerate(tables):
        for difference in table:
            if difference.exceeds(tolerance):
                return Divergence(step=number, **difference.model_dump())
    return None


def weight_curve(pair: Pair, count: int) -> list[float | None]:
    """Largest difference over all weights after each compared step."""
    curve = []
    for fit, loop in zip(pair.fit.steps[:count], pair.loop.steps[:count], strict=False):
        assert fit.after is not None
        assert loop.after is not None
        curve.append(
            largest(
                [fit.after[p] for p in trainable_positions(fit.model)],
                [loop.after[p] for p in trainable_positions(loop.model)],
            )
        )
    return curve
