"""Stage 'forward output': the training flag, the precision and the masks of the forward passes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import keras
import tensorflow as tf

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.compare import all_close_to, peak
from twintrain.diagnosis.replay.masks import without_masks
from twintrain.diagnosis.replay.model_calls import (
    calls_of,
    compute_dtype,
    forward,
    outputs_of,
)
from twintrain.diagnosis.replay.tolerances import HALF, Tolerance, forward_tolerance
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, Arrays, CompleteStep

# Steps that are replayed: a dropout mask or a batch may hide the flag in one of them.
_TRIED = 3


@dataclass
class Modes:
    """In which mode the calls of a step were made, read from the first step that shows it.

    Attributes:
        step: that one.
        in_training: of each call whose outputs the flag changes, whether it was set.
        observed: largest output.
        replayed: the same, without the flag.
        correct: the same, with it.
    """

    step: CompleteStep
    in_training: list[bool]
    observed: float
    replayed: float
    correct: float

    def lack_flag(self, other: Modes | None) -> bool:
        """Whether a call lacks the flag that the other side sets."""
        if other is None or len(other.in_training) != len(self.in_training):
            return not all(self.in_training) and (other is None or all(other.in_training))
        pairs = zip(self.in_training, other.in_training, strict=True)
        return any(theirs and not ours for ours, theirs in pairs)


@looks_for("training_flag_missing", "precision_differs")
def check_forward(pair: Pair) -> bool:
    """Replay the forward passes with the flag set and without."""
    found = {side.name: _read_modes(pair, side) for side in pair.sides}
    for side in pair.sides:
        ours = found[side.name]
        if ours is not None and ours.lack_flag(found[pair.other(side.name).name]):
            _name_flag(pair, side, ours)
    _check_precision(pair)
    return True


def _name_flag(pair: Pair, side: Side, found: Modes) -> None:
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


def _read_modes(pair: Pair, side: Side) -> Modes | None:
    """The modes of a side's calls; None where nothing in the model heeds the flag, or where no
    replay gives the outputs.
    """
    for step in side.close[:_TRIED]:
        tolerance = forward_tolerance(compute_dtype(step.model))
        seen = [outputs_of(call.outputs) for call in calls_of(step)]
        on, off = ([outputs_of(o) for o in forward(step, flag)] for flag in (True, False))
        modes = [
            (all_close_to(outputs, with_flag, tolerance), all_close_to(outputs, without, tolerance))
            for outputs, with_flag, without in zip(seen, on, off, strict=True)
        ]
        if not all(any(mode) for mode in modes):
            _explain(pair, side, step, _flat(seen), _flat(on), tolerance)
            return None
        heeding = [training for training, inference in modes if training != inference]
        if heeding:
            return Modes(step, heeding, *(peak(_flat(found)) for found in (seen, off, on)))
    return None


def _flat(outputs: list[Arrays]) -> Arrays:
    return list(itertools.chain.from_iterable(outputs))


def _explain(
    pair: Pair,
    side: Side,
    step: CompleteStep,
    outputs: Arrays,
    with_flag: Arrays,
    tolerance: Tolerance,
) -> None:
    """Outputs that neither replay gives: is it the masks?"""
    with without_masks():
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


def _half(side: Side) -> str | None:
    """The half precision in which some output of a side is; None where all are float32."""
    outputs = keras.tree.flatten(side.steps[0].outputs)
    names = {tf.as_dtype(output.dtype).name for output in outputs}
    return next((name for name in names if name in HALF), None)


CHECKS = (check_forward,)
