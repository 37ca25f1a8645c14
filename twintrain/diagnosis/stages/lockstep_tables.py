"""Lockstep of two traces: step by step, every tensor the two sides have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from twintrain.diagnosis.replay.clipping import times
from twintrain.diagnosis.replay.compare import (
    all_close_to,
    close_to,
    each_close,
    largest,
    trainable_positions,
)
from twintrain.diagnosis.replay.model_calls import compute_dtype, outputs_of
from twintrain.diagnosis.replay.tolerances import (
    SAME_ROW,
    Tolerance,
    forward_tolerance,
    gradient_rel,
)
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.frozen_rows import as_rows
from twintrain.diagnosis.watch.trace import FIT, LOOP, CompleteStep
from twintrain.diagnosis.watch.weight_order import counted_weights
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


def same_order(pair: Pair) -> bool:
    """Whether both sides have the same rows in every step, also in those that were not kept in
    full; rows that were not recognised are not asked.
    """
    rows = list(zip(pair.fit.stream.rows, pair.loop.stream.rows, strict=False))
    known = [(ours, theirs) for ours, theirs in rows if (np.append(ours, theirs) >= 0).all()]
    return same_batches(pair) and all(
        np.array_equal(np.sort(ours), np.sort(theirs)) for ours, theirs in known
    )


def _same_rows(pair: Pair, fit: CompleteStep, loop: CompleteStep) -> bool:
    ours, theirs = pair.fit.stream.rows[fit.number], pair.loop.stream.rows[loop.number]
    if len(ours) == len(theirs) and (ours >= 0).all() and (theirs >= 0).all():
        return np.array_equal(ours, theirs)
    like = pair.subject.train.part(0)
    a, b = as_rows(fit.inputs, like), as_rows(loop.inputs, like)
    return a.shape == b.shape and each_close(a, b, SAME_ROW, equal_nan=True)


def lockstep_tables(pair: Pair) -> list[list[Difference]]:
    """Per compared step, every tensor compared."""
    return [
        compare(*_observe_both(pair, fit, loop, aligned(fit, loop)))
        for fit, loop in compared_steps(pair)
    ]


def steps_from_one_state(pair: Pair) -> list[tuple[CompleteStep, CompleteStep]]:
    """The compared steps that both sides took on the same rows and from the same weights."""
    if not same_batches(pair):
        return []
    return [
        (fit, loop)
        for fit, loop in compared_steps(pair)
        if all_close_to(fit.before, loop.before, forward_tolerance(compute_dtype(fit.model)))
    ]


def act_alike(pair: Pair) -> bool:
    """Whether `acts_alike` holds in all of them, of which there are some."""
    steps = steps_from_one_state(pair)
    return bool(steps) and all(acts_alike(fit, loop) for fit, loop in steps)


def acts_alike(fit: CompleteStep, loop: CompleteStep) -> bool:
    """Whether loss and gradients of two steps are the same, whatever the outputs look like: one
    side may have an activation in its loss that the other has in its model.
    """
    if not each_close(fit.target, loop.target, forward_tolerance(compute_dtype(fit.model))):
        return False
    ours, theirs = (dict(zip(s.sources, s.gradients, strict=False)) for s in (fit, loop))
    if set(ours) != set(theirs) or -1 in ours:
        return False
    sizes = [float(np.abs(g).max()) for g in ours.values() if g is not None and g.size]
    rel = gradient_rel(compute_dtype(fit.model))
    tolerance = Tolerance(rel, rel * max(sizes, default=0.0))
    for position, gradient in ours.items():
        other = theirs[position]
        if gradient is None or other is None:
            if gradient is not other:
                return False
        elif gradient.shape != other.shape or not each_close(gradient, other, tolerance):
            return False
    return bool(sizes)


def aligned(fit: CompleteStep, loop: CompleteStep) -> bool:
    """Whether variables of the two models at one position are the same variable, as far as shapes
    tell.
    """
    return [v.shape for v in fit.before] == [v.shape for v in loop.before]


def _observe_both(
    pair: Pair, fit: CompleteStep, loop: CompleteStep, same: bool
) -> tuple[Observation, Observation]:
    """The tensors of a step on both sides, by the stages of `Difference`.

    Outputs and inputs that are not built alike (one side calls the model, the other its parts) are
    left out where the rows, the loss, the gradients and the weights can be held against each other
    all the same.
    """
    # Where one side leaves a variable out, the other's is held against nothing.
    moving = sorted({*_moving(fit), *_moving(loop)})
    kept = (moving, moving) if same else (_moving(fit), _moving(loop))
    ours = _observe(fit, kept[0], _undone(pair, FIT, fit))
    theirs = _observe(loop, kept[1], _undone(pair, LOOP, loop))
    for step, observed in ((fit, ours), (loop, theirs)):
        observed[BATCH] = {"inputs": as_rows(step.inputs, pair.subject.train.part(0))}
    for stage, what in ((BATCH, "inputs"), ("forward output", "forward output")):
        if same and not _alike(ours[stage], theirs[stage]) and _same_rows(pair, fit, loop):
            ours[stage], theirs[stage] = {}, {}
            _note_once(pair, what)
    differ = same and _differ(ours["forward output"], theirs["forward output"], fit)
    if differ and _same_rows(pair, fit, loop) and acts_alike(fit, loop):
        ours["forward output"], theirs["forward output"] = {}, {}
        _note_once(pair, "forward output", "outputs are of other forms")
    return ours, theirs


def _differ(ours: dict[str, Any], theirs: dict[str, Any], step: CompleteStep) -> bool:
    """Whether outputs of the same shapes have other values."""
    if not _alike(ours, theirs):
        return False
    tolerance = forward_tolerance(compute_dtype(step.model))
    pairs = zip(ours.values(), theirs.values(), strict=True)
    return any(not close_to(a, b, tolerance) for a, b in pairs)


def _undone(pair: Pair, side: str, step: CompleteStep) -> float:
    """The factor that undoes the one a side puts into its loss, and takes out of its gradients
    before they are applied.
    """
    reading = pair.losses.get(side)
    return 1.0 if reading is None else reading.factors.get(step.number, 1.0)


def _alike(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> bool:
    return [a.shape for a in ours.values()] == [b.shape for b in theirs.values()]


def _note_once(pair: Pair, what: str, why: str = "the two call other parts of the model") -> None:
    if not any(look.what == what for look in pair.findings.looks):
        # Equal losses, gradients and weights come of outputs that say the same.
        said = f"{why}; loss, gradients and weights were compared"
        pair.findings.not_compared(what, said, open_=False)


def _moving(step: CompleteStep) -> list[int]:
    """Positions of the variables that are trained."""
    return sorted({*trainable_positions(step.model), *(p for p in step.sources if p >= 0)})


def _observe(step: CompleteStep, moving: list[int], factor: float) -> Observation:
    """The tensors of a step on one side but its inputs; loss and gradients times a factor."""
    variables = counted_weights(step.model)
    rest = [i for i in range(len(variables)) if i not in moving]
    outputs = {f"predictions[{i}]": p for i, p in enumerate(outputs_of(step.outputs))}
    return {
        BATCH: {},
        "forward output": outputs,
        "loss": {"total": np.asarray(factor * step.target, np.float32)},
        "gradient": _gradients(step, moving, factor),
        "update": {variables[p].path: step.after[p] for p in moving},
        "non-trainable state": {variables[p].path: step.after[p] for p in rest},
    }


def _gradients(step: CompleteStep, moving: list[int], factor: float) -> dict[str, np.ndarray]:
    """Gradients by the path of their variable, times a factor; empty where there is none."""
    taken = dict(zip(step.sources, times(factor, step.gradients), strict=False))
    variables = counted_weights(step.model)
    found = {variables[p].path: taken.get(p) for p in moving}
    if -1 in taken:
        found["another variable"] = taken[-1]
    return {
        name: np.zeros(0, np.float32) if gradient is None else gradient
        for name, gradient in found.items()
    }


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
    found = []
    for fit, loop in compared_steps(pair):
        ours, theirs = _moving(fit), _moving(loop)
        if aligned(fit, loop):
            ours = theirs = sorted({*ours, *theirs})
        found.append(largest([fit.after[p] for p in ours], [loop.after[p] for p in theirs]))
    return found
