"""Lockstep of two traces: step by step, every tensor the two sides have in common."""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.compare import each_close, largest, trainable_positions
from twintrain.diagnosis.replay.model_calls import outputs_of
from twintrain.diagnosis.replay.tolerances import SAME_ROW
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.frozen_rows import as_rows
from twintrain.diagnosis.watch.trace import CompleteStep
from twintrain.parity.divergence import Difference, Divergence
from twintrain.parity.lockstep import Observation, compare

# The stage of a difference between batches, after which no other tensor can be compared.
BATCH = "batch"


def compared_steps(pair: Pair) -> list[tuple[CompleteStep, CompleteStep]]:
    """The steps that both sides kept in full, from the first on, up to the first gap."""
    found = []
    for number, (fit, loop) in enumerate(zip(pair.fit.close, pair.loop.close, strict=False)):
        if fit.number != number or loop.number != number:
            break
        found.append((fit, loop))
    return found


def same_batches(pair: Pair) -> bool:
    """Whether the steps that can be compared have the same rows on both sides, in whatever form."""
    return all(_same_rows(pair, fit, loop) for fit, loop in compared_steps(pair))


def _same_rows(pair: Pair, fit: CompleteStep, loop: CompleteStep) -> bool:
    ours, theirs = pair.fit.stream.rows[fit.number], pair.loop.stream.rows[loop.number]
    if (ours >= 0).all() and (theirs >= 0).all():
        return np.array_equal(ours, theirs)
    a, b = as_rows(fit.inputs), as_rows(loop.inputs)
    return a.shape == b.shape and each_close(a, b, SAME_ROW, equal_nan=True)


def lockstep_tables(pair: Pair) -> list[list[Difference]]:
    """Per compared step, every tensor compared."""
    return [compare(_observe(fit), _observe(loop)) for fit, loop in compared_steps(pair)]


def _observe(step: CompleteStep) -> Observation:
    """The tensors of a step, by the stages of `Difference`."""
    variables = step.model.variables
    trainable = trainable_positions(step.model)
    rest = [i for i in range(len(variables)) if i not in trainable]
    outputs = {f"predictions[{i}]": p for i, p in enumerate(outputs_of(step.outputs))}
    return {
        BATCH: {"inputs": as_rows(step.inputs)},
        "forward output": outputs,
        "loss": {"total": np.asarray(step.target, np.float32)},
        "gradient": _gradients(step),
        "update": {variables[p].path: step.after[p] for p in trainable},
        "non-trainable state": {variables[p].path: step.after[p] for p in rest},
    }


def _gradients(step: CompleteStep) -> dict[str, np.ndarray]:
    """Gradients by the path of their variable; empty where there is none."""
    found = {}
    for position, gradient in zip(step.sources, step.gradients, strict=False):
        name = step.model.variables[position].path if position >= 0 else "another variable"
        found[name] = np.zeros(0, np.float32) if gradient is None else gradient
    return found


def first_divergence(tables: list[list[Difference]], tolerance: float) -> Divergence | None:
    """The first tensor, in the order in which things happen, that differs by more than the
    tolerance.
    """
    for number, table in enumerate(tables):
        for difference in table:
            if difference.exceeds(tolerance):
                return Divergence(step=number + 1, **difference.model_dump())
    return None


def weight_curve(pair: Pair) -> list[float | None]:
    """Largest difference over all trainable weights after each compared step; None where the models
    have different shapes.
    """
    return [
        largest(
            [fit.after[p] for p in trainable_positions(fit.model)],
            [loop.after[p] for p in trainable_positions(loop.model)],
        )
        for fit, loop in compared_steps(pair)
    ]
