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
    compute_dtype,
    forward,
    in_both_modes,
    outputs_of,
    seen_outputs,
)
from twintrain.diagnosis.replay.tolerances import HALF, Tolerance, forward_tolerance
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, Arrays, CompleteStep

# Steps that are replayed: a dropout mask or a batch may hide the flag in one of them.
_TRIED = 3


@dataclass
class HeedingCall:
    """A call that heeds the flag.

    Attributes:
        in_training: it was made with the flag set.
        flag: as it was given.
        seen: its outputs.
        replayed: the same, without the flag.
        correct: the same, with it.
    """

    in_training: bool
    flag: bool | None
    seen: Arrays
    replayed: Arrays
    correct: Arrays


@dataclass
class Modes:
    """In which mode the calls of a step were made, read from the first step that shows it.

    Attributes:
        step: that one.
        calls: those of its calls whose outputs the flag changes.
    """

    step: CompleteStep
    calls: list[HeedingCall]

    def lacking(self, other: Modes | None) -> HeedingCall | None:
        """The first call that lacks the flag where the other side sets it; None where none does."""
        if other is None or len(other.calls) != len(self.calls):
            rightly = other is None or all(call.in_training for call in other.calls)
            return next((c for c in self.calls if rightly and not c.in_training), None)
        pairs = zip(self.calls, other.calls, strict=True)
        return next((a for a, b in pairs if b.in_training and not a.in_training), None)


@looks_for("training_flag_missing", "precision_differs")
def check_forward(pair: Pair) -> bool:
    """Replay the forward passes with the flag set and without."""
    found = {side.name: _read_modes(pair, side) for side in pair.sides}
    for side in pair.sides:
        ours = found[side.name]
        call = ours.lacking(found[pair.other(side.name).name]) if ours else None
        if ours is not None and call is not None:
            _name_flag(pair, side, ours.step, call)
    _check_precision(pair)
    return True


def _name_flag(pair: Pair, side: Side, step: CompleteStep, call: HeedingCall) -> None:
    flag = "not given" if call.flag is None else call.flag
    peaks = (peak(outputs) for outputs in (call.seen, call.replayed, call.correct))
    pair.findings.name_cause(
        "training_flag_missing",
        side.name,
        step.number,
        by_replay("largest output of the step", *peaks),
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
        modes = in_both_modes(step)
        heeding, strange = [], False
        for call, with_flag, without in modes:
            seen = outputs_of(call.outputs)
            in_training = all_close_to(seen, with_flag, tolerance)
            in_inference = all_close_to(seen, without, tolerance)
            strange |= not in_training and not in_inference
            if in_training != in_inference:
                heeding.append(HeedingCall(in_training, call.training, seen, without, with_flag))
        if strange:
            on = list(itertools.chain.from_iterable(mode.with_flag for mode in modes))
            _explain(pair, side, step, seen_outputs(step), on, tolerance)
            return None
        if heeding:
            return Modes(step, heeding)
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
