"""Stages 'gradients' and 'update': from the loss to the new weights, replayed from what each side
had before it.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.losses import batch_of, total_loss
from twintrain.diagnosis.replay.updates import (
    clip,
    clipped_by_hand,
    clipping,
    global_norm,
    inner,
    replay_update,
    settings,
)
from twintrain.diagnosis.stages.findings import (
    FIT,
    LOOP,
    Pair,
    Side,
    close_to,
    shown,
    trainable_positions,
)
from twintrain.diagnosis.stages.forward import LOOSE, call_model, step_dtype, weights_of
from twintrain.diagnosis.stages.loss import LossReading
from twintrain.diagnosis.watch.trace import Step

UPDATE = "update"


def check_updates(pair: Pair, losses: dict[str, LossReading]) -> None:
    """Gradients, loss scale, accumulation, clipping, the optimizer and which variables it moves."""
    pair.ruled_out |= {
        "loss_scale_not_applied",
        "gradient_accumulation",
        "clip_per_variable_vs_global",
        "optimizer_differs",
        "constraints_not_applied",
        "trainable_flags",
    }
    _check_scale(pair)
    for side in pair.sides:
        if side.name in losses:
            _check_gradient(pair, side, losses[side.name])
    _check_accumulation(pair)
    _check_clipping(pair)
    _check_trainable(pair)
    _check_optimizer(pair)


def _first(side: Side) -> Step | None:
    """The first step that was updated by an optimizer."""
    return next((side.steps[i] for i in side.close if side.steps[i].applied is not None), None)


def _check_scale(pair: Pair) -> None:
    missing = {}
    for side in pair.sides:
        step = _first(side)
        if step is None or step.applied is None:
            continue
        half = step_dtype(step) == "float16"
        wrapped = hasattr(step.applied.optimizer, "inner_optimizer")
        missing[side.name] = (wrapped and step.scale is None) or (half and not wrapped)
    if len(missing) == 2 and missing[FIT] != missing[LOOP]:
        side = pair.fit if missing[FIT] else pair.loop
        step = _first(side)
        assert step is not None
        norm = global_norm(step.gradients)
        scale = (
            float(
                getattr(step.applied.optimizer if step.applied else None, "dynamic_scale", 0) or 0
            )
            or 32768.0
        )
        pair.name_cause(
            "loss_scale_not_applied",
            side.name,
            "gradients",
            side.close[0],
            shown("norm of the gradients handed to the optimizer", norm, norm, norm * scale),
        )


def _check_gradient(pair: Pair, side: Side, reading: LossReading) -> None:
    """Is the gradient the one of the loss that was seen?"""
    for number in [i for i in side.close if i in reading.batches][:2]:
        step = side.steps[number]
        assert step.before is not None
        expected = gradient_of(step, reading, number)
        rel = max(2e-4, LOOSE.get(step_dtype(step), 0.0) * 5)
        scale = step.scale or 1.0
        for position, observed in zip(step.sources, step.gradients, strict=False):
            wanted = expected.get(position)
            if observed is None or wanted is None:
                continue
            floor = rel * max(float(np.abs(g).max()) for g in expected.values() if g is not None)
            if not close_to(observed / scale, wanted, rel, floor):
                name = step.model.variables[position].path
                pair.unexplained.append(
                    f"{side.name}: the gradient of {name} is not that of its loss (step "
                    f"{number + 1})"
                )
                return


def gradient_of(step: Step, reading: LossReading, number: int) -> dict[int, np.ndarray | None]:
    """Gradients of the loss a side was read to compute, by position, from the weights before the
    step.
    """
    assert step.before is not None
    batch = reading.batches[number]
    with weights_of(step.model, step.before):
        with tf.GradientTape() as tape:
            outputs = call_model(step.model, step.inputs, step.training)
            again = batch_of(step, batch.y, batch.w)
            again.p = outputs
            again.added = (
                tf.add_n([tf.cast(x, tf.float32) for x in step.model.losses])
                if step.model.losses
                else 0.0
            )
            loss = total_loss(reading.declared, reading.practice, again)
        positions = [p for p in step.sources if p >= 0]
        found = tape.gradient(loss, [step.model.variables[p] for p in positions])
    return {
        p: None if g is None else np.array(tf.convert_to_tensor(g), np.float32)
        for p, g in zip(positions, found, strict=True)
    }


def _accumulated(side: Side) -> tuple[int, str]:
    """Forward passes per update, and whether their gradients are 'summed' or averaged ('mean')."""
    applied = [i for i, step in enumerate(side.steps) if step.applied is not None]
    if not applied:
        return 1, "mean"
    optimizer = side.steps[applied[0]].applied
    assert optimizer is not None
    own = getattr(inner(optimizer.optimizer), "gradient_accumulation_steps", None) or 1
    period = applied[0] + 1
    if period == 1:
        return int(own), "mean"
    window = side.steps[:period]
    given = side.steps[applied[0]].applied
    assert given is not None
    if len(given.gradients) != len(window[0].gradients):
        return period, "mean"
    for kind, factor in (("summed", 1.0), ("mean", 1.0 / period)):
        if all(
            a is None or close_to(a, factor * sum(s.gradients[i] for s in window), 1e-3, 1e-8)  # type: ignore[arg-type, misc]
            for i, a in enumerate(given.gradients)
        ):
            return period, kind
    return period, "unknown"


def _check_accumulation(pair: Pair) -> None:
    fit, loop = (_accumulated(side) for side in pair.sides)
    if fit == loop:
        return
    at_fault = FIT if fit[1] == "summed" or (loop[0] == 1 and fit[0] > 1) else LOOP
    observed, other = (fit, loop) if at_fault == FIT else (loop, fit)

    def say(found: tuple[int, str]) -> str:
        return f"{found[0]} batches per update, {found[1]}" if found[0] > 1 else "every batch"

    pair.name_cause(
        "gradient_accumulation",
        at_fault,
        UPDATE,
        0,
        shown("gradients applied", say(observed), say(observed), say(other)),
    )


def _effective(step: Step) -> tuple[list[np.ndarray | None], tuple[str, float]] | None:
    """Gradients as they reach the update rule, and the clipping that led to them."""
    assert step.applied is not None
    by_hand = clipped_by_hand(step.gradients, step.applied.gradients)
    if by_hand is None:
        return None
    own = clipping(step.applied.optimizer)
    return clip(own, step.applied.gradients), (own if by_hand[0] == "none" else by_hand)


def _check_clipping(pair: Pair) -> None:
    if pair.has("gradient_accumulation", "loss_scale_not_applied"):
        return
    steps = [_first(side) for side in pair.sides]
    if any(step is None for step in steps):
        return
    read = [_effective(step) for step in steps if step is not None]
    if any(found is None for found in read):
        for side, found in zip(pair.sides, read, strict=True):
            if found is None:
                pair.unexplained.append(
                    f"{side.name}: gradients are changed on their way to the optimizer"
                )
        return
    (_, fit_rule), (_, loop_rule) = (found for found in read if found is not None)
    if fit_rule[0] == loop_rule[0] and np.isclose(fit_rule[1], loop_rule[1], rtol=1e-3):
        return
    for number in pair.loop.close:
        step = pair.loop.steps[number]
        if step.applied is None or (found := _effective(step)) is None:
            continue
        wanted = clip(fit_rule, step.gradients)
        if all(
            a is None or b is None or np.allclose(a, b, rtol=1e-4, atol=1e-9)
            for a, b in zip(found[0], wanted, strict=True)
        ):
            continue
        kinds = {fit_rule[0], loop_rule[0]}
        id_ = (
            "clip_per_variable_vs_global"
            if kinds == {"global", "per variable"}
            else "optimizer_differs"
        )
        at_fault = (
            FIT
            if fit_rule[0] != "none" and loop_rule[0] == "none" and id_ != "optimizer_differs"
            else LOOP
        )
        pair.name_cause(
            id_,
            at_fault,
            UPDATE,
            number,
            shown("clipping of gradients", _rule(loop_rule), _rule(loop_rule), _rule(fit_rule)),
            shown(
                "norm of all gradients after clipping",
                global_norm(found[0]),
                global_norm(found[0]),
                global_norm(wanted),
            ),
        )
        return


def _rule(rule: tuple[str, float]) -> str:
    return "none" if rule[0] == "none" else f"{rule[0]}, at {rule[1]:.4g}"


def _moved(side: Side) -> set[int]:
    moved: set[int] = set()
    for number in side.close:
        step = side.steps[number]
        if step.applied is not None:
            pairs = zip(step.applied.variables, step.applied.gradients, strict=False)
            moved |= {position for position, gradient in pairs if gradient is not None}
        else:
            assert step.before is not None
            assert step.after is not None
            kept = set(trainable_positions(step.model)) | {p for p in step.sources if p >= 0}
            moved |= {p for p in kept if not np.array_equal(step.before[p], step.after[p])}
    return moved


def _check_trainable(pair: Pair) -> None:
    fit, loop = (_moved(side) for side in pair.sides)
    if fit == loop or not fit or not loop:
        return
    model = pair.loop.steps[0].model
    names = ", ".join(
        model.variables[p].path for p in sorted(fit ^ loop) if 0 <= p < len(model.variables)
    )
    pair.name_cause(
        "trainable_flags",
        LOOP,
        UPDATE,
        0,
        shown("variables that move", len(loop), len(loop), len(fit)),
        shown("the difference", names, names, ""),
    )


def _check_optimizer(pair: Pair) -> None:
    first = {side.name: _first(side) for side in pair.sides}
    if first[FIT] is None or first[LOOP] is None:
        from twintrain.diagnosis.stages.manual_update import check_hand_update

        for side in pair.sides:
            if first[side.name] is None:
                check_hand_update(pair, side)
        return
    for side in pair.sides:
        _check_replay(pair, side)
    fit, loop = (
        step.applied.optimizer
        for step in first.values()
        if step is not None and step.applied is not None
    )
    compare_optimizers(pair, settings(fit), settings(loop))


def compare_optimizers(pair: Pair, fit: dict[str, Any], loop: dict[str, Any]) -> None:
    """Name `optimizer_differs` where class or hyperparameters do."""
    ours, theirs = _plain(fit), _plain(loop)
    if ours == theirs:
        return
    keys = (
        ["class"]
        if ours["class"] != theirs["class"]
        else sorted(k for k in {*ours, *theirs} if ours.get(k) != theirs.get(k))
    )
    evidence = [
        shown(
            f"optimizer {key}".replace("optimizer class", "optimizer"),
            theirs.get(key),
            theirs.get(key),
            ours.get(key),
        )
        for key in keys
    ]
    pair.name_cause("optimizer_differs", LOOP, UPDATE, 0, *evidence)


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in found.items() if v not in (None, 0, 0.0, False)}
    if "momentum" not in kept:
        kept.pop("nesterov", None)
    return kept


def _check_replay(pair: Pair, side: Side) -> None:
    """Does the optimizer alone give the new weights?"""
    for number in side.close:
        step = side.steps[number]
        replayed = replay_update(step)
        if replayed is None or step.after is None:
            continue
        for position in trainable_positions(step.model):
            if not close_to(step.after[position], replayed[position], 1e-4, 1e-6):
                name = step.model.variables[position].path
                pair.unexplained.append(
                    f"{side.name}: {name} is changed by more than the optimizer (step {number + 1})"
                )
                return


def _has_constraint(model: keras.Model) -> bool:
    return any(getattr(v, "constraint", None) is not None for v in model.trainable_variables)
