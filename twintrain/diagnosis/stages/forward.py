"""Stage 'forward output': the training flag, the precision and the masks of the forward passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import tensorflow as tf

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.compare import all_close_to, peak
from twintrain.diagnosis.replay.model_calls import compute_dtype, forward, outputs_of
from twintrain.diagnosis.replay.tolerances import HALF, Tolerance, forward_tolerance
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, Arrays, CompleteStep

# Steps that are replayed: a dropout mask or a batch may hide the flag in one of them.
_TRIED = 3


@dataclass
class InferenceMode:
    """A step whose outputs only a replay without the training flag gives.

    Attributes:
        step: the first such step.
        observed: largest output.
        replayed: the same, without the flag.
        correct: the same, with it.
    """

    step: CompleteStep
    observed: float
    replayed: float
    correct: float


@looks_for("training_flag_missing", "precision_differs")
def check_forward(pair: Pair) -> bool:
    """Replay the forward passes with the flag set and without."""
    found = {side.name: _read_flag(pair, side) for side in pair.sides}
    for side in pair.sides:
        ours = found[side.name]
        if ours is not None and found[pair.other(side.name).name] is None:
            _name_flag(pair, side, ours)
    _check_precision(pair)
    return True


def _name_flag(pair: Pair, side: Side, found: InferenceMode) -> None:
    flag = "not given" if found.step.training is None else found.step.training
    pair.findings.name_cause(
        "training_flag_missing",
        side.name,
        found.step.number,
        by_replay("largest output of the step", found.observed, found.replayed, found.correct),
        by_reading("training flag", flag, True),
    )


def _check_precision(pair: Pair) -> None:
    fit, loop = (_half(side) for side in pair.sides)
    if fit != loop and not pair.findings.has("precision_differs"):
        pair.findings.name_cause(
            "precision_differs",
            FIT if fit else LOOP,
            0,
            by_reading("type of the outputs", fit or loop, "float32"),
        )


def _read_flag(pair: Pair, side: Side) -> InferenceMode | None:
    """Whether the flag is off; None where it is on, or where nothing in the model heeds it."""
    for step in side.close[:_TRIED]:
        tolerance = forward_tolerance(compute_dtype(step.model))
        outputs = outputs_of(step.outputs)
        with_flag, without = (outputs_of(forward(step, flag)) for flag in (True, False))
        in_training = all_close_to(outputs, with_flag, tolerance)
        in_inference = all_close_to(outputs, without, tolerance)
        if in_training and in_inference:
            continue
        if in_inference:
            return InferenceMode(step, peak(outputs), peak(without), peak(with_flag))
        if not in_training:
            _explain(pair, side, step, outputs, with_flag, tolerance)
        return None
    return None


def _explain(
    pair: Pair,
    side: Side,
    step: CompleteStep,
    outputs: Arrays,
    with_flag: Arrays,
    tolerance: Tolerance,
) -> None:
    """Outputs that neither replay gives: is it the masks?"""
    with _without_masks():
        unmasked = outputs_of(forward(step, True))
    if not all_close_to(outputs, unmasked, tolerance):
        pair.findings.unexplained.append(
            f"{side.name}: no replay gives the outputs of step {step.number + 1}"
        )
        return
    pair.findings.name_cause(
        "mask_ignored",
        side.name,
        step.number,
        by_replay("largest output", peak(outputs), peak(unmasked), peak(with_flag)),
        # A mask acts in the layers before it acts in the loss.
        stage=Stage.FORWARD,
    )


@contextmanager
def _without_masks() -> Iterator[None]:
    original = keras.layers.Embedding.compute_mask
    keras.layers.Embedding.compute_mask = lambda self, inputs, mask=None: None
    try:
        yield
    finally:
        keras.layers.Embedding.compute_mask = original


def _half(side: Side) -> str | None:
    """The half precision in which some output of a side is; None where all are float32."""
    outputs = keras.tree.flatten(side.steps[0].outputs)
    names = {tf.as_dtype(output.dtype).name for output in outputs}
    return next((name for name in names if name in HALF), None)


CHECKS = (check_forward,)
