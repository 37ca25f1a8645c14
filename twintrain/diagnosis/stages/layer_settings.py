"""Settings of layers that the two sides set otherwise, and whether the steps show it: one side may
do by hand what the other has a layer do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.compare import all_close_to, each_close
from twintrain.diagnosis.replay.losses import LossReading
from twintrain.diagnosis.replay.model_calls import compute_dtype, outputs_of
from twintrain.diagnosis.replay.tolerances import FORWARD, SAME_RATE, Tolerance, forward_tolerance
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.lockstep_tables import acts_alike, compared_steps, same_batches
from twintrain.diagnosis.stages.loss_wording import masks
from twintrain.diagnosis.stages.pair import LayerSetting, Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import CompleteStep

# Sums over weights, however small beside the loss.
_PENALTIES = Tolerance(FORWARD.rel, 0.0)
# Stands for the name of a setting where the layers themselves are of other kinds.
LAYERS = "layers"
# Characters of a setting that are shown.
_LONGEST = 80


@looks_for()
def check_settings(pair: Pair) -> bool:
    """Tell the settings whose effect shows in the steps; to be called when these are replayed."""
    if not pair.settings:
        return True
    if pair.complete and not pair.unshuffled and not same_batches(pair):
        return False  # they are looked at again with nothing shuffled
    same, penalties = _same_outputs(pair), _same_penalties(pair)
    for setting in pair.settings:
        seen = same or setting.key.endswith("_regularizer")
        if setting.key == "mask_zero":
            seen = same and _same_masks(pair)
        if not (seen and penalties):
            tell(pair, setting)
    return True


def _steps_from_one_state(pair: Pair) -> list[tuple[CompleteStep, CompleteStep]]:
    """The steps that both sides took on the same rows and from the same weights."""
    if not same_batches(pair):
        return []
    return [
        (fit, loop)
        for fit, loop in compared_steps(pair)
        if all_close_to(fit.before, loop.before, forward_tolerance(compute_dtype(fit.model)))
    ]


def _same_outputs(pair: Pair) -> bool:
    """Whether the same rows and weights gave the same outputs, or the same loss and gradients, in
    all steps that have these on both sides; outputs may be built otherwise.
    """
    steps = _steps_from_one_state(pair)
    for fit, loop in steps:
        ours, theirs = ([np.ravel(p) for p in outputs_of(s.outputs)] for s in (fit, loop))
        same = all_close_to(ours, theirs, forward_tolerance(compute_dtype(fit.model)))
        if not (same or acts_alike(fit, loop)):
            return False
    return bool(steps)


def _same_penalties(pair: Pair) -> bool:
    """Whether both losses have the same beside those of the outputs: the losses of the layers, or
    the same by hand, where it is large enough to be seen.
    """
    steps = [(fit.layer_losses, loop.layer_losses) for fit, loop in _steps_from_one_state(pair)]
    if steps and all(each_close(ours, theirs, _PENALTIES) for ours, theirs in steps):
        return True
    if len(pair.losses) < len(pair.sides):
        return False
    fit, loop = (pair.losses[side.name].batches for side in pair.sides)
    numbers = [step.number for step, _ in _steps_from_one_state(pair)]
    known = [number for number in numbers if number in fit and number in loop]
    ours, theirs = ([batches[n].added for n in known] for batches in (fit, loop))
    return (
        bool(known)
        and each_close(ours, theirs, _PENALTIES)
        and all(map(_shows, pair.losses.values()))
    )


def _same_masks(pair: Pair) -> bool:
    """Whether both sides leave positions out of their losses, or neither does."""
    readings = pair.losses.values()
    return len(readings) == len(pair.sides) and len({masks(one) for one in readings}) == 1


def _shows(reading: LossReading) -> bool:
    """Whether a loss without its penalties, or with them, would have been another one."""
    other = replace(reading.practice, regularized=not reading.practice.regularized)
    return any(
        not each_close(reading.replay(number, other), reading.replay(number), FORWARD)
        for number in reading.batches
    )


def tell(pair: Pair, setting: LayerSetting) -> None:
    """Name the pitfall that a setting is, or note that it differs."""
    where, observed, correct = setting.where, setting.observed, setting.correct
    if setting.key == LAYERS:
        pair.findings.unexplained.append("the two sides train models of different layers")
        return
    id_ = _pitfall_of(setting.key, observed, correct)
    if id_ is None:
        pair.findings.unexplained.append(
            f"{where} is {_short(observed)} in {setting.at_fault} and {_short(correct)} on the "
            "other side"
        )
        return
    # A mask acts in the layers before it acts in the loss.
    stage = Stage.FORWARD if id_ == "mask_ignored" else None
    pair.findings.name_cause(
        id_, setting.at_fault, 0, by_reading(where, observed, correct), stage=stage
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _pitfall_of(key: str, observed: Any, correct: Any) -> str | None:
    """The pitfall that another value of a setting is; None where it is none."""
    by_key = {
        "dtype": "precision_differs",
        "mask_zero": "mask_ignored",
        "trainable": "trainable_flags",
    }
    if key in by_key:
        return by_key[key]
    if key.endswith("_regularizer"):
        return "regularization_losses_missing"
    if key.endswith("_constraint"):
        return "constraints_not_applied"
    rates = isinstance(observed, float) and isinstance(correct, float)
    if key == "rate" and rates and abs(observed + correct - 1) < SAME_RATE:
        return "dropout_rate_inverted"
    return None


CHECKS = (check_settings,)
