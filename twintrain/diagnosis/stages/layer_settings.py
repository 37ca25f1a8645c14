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
from twintrain.diagnosis.replay.penalties import penalties_of
from twintrain.diagnosis.replay.tolerances import FORWARD, SAME_RATE, Tolerance, forward_tolerance
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.lockstep_tables import act_alike, same_order, steps_from_one_state
from twintrain.diagnosis.stages.loss_wording import masks
from twintrain.diagnosis.stages.pair import LayerSetting, Pair
from twintrain.diagnosis.stages.registry import looks_for

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
    if pair.complete and not pair.unshuffled and not same_order(pair):
        return False  # they are looked at again with nothing shuffled
    alike, outputs = act_alike(pair), _same_outputs(pair)
    for setting in pair.settings:
        if setting.key == "mask_zero":
            seen = alike or (outputs and _same_masks(pair))
            tell_ = None if seen else len(pair.losses) == len(pair.sides)
        elif setting.key.endswith("_regularizer"):
            tell_ = _penalties_differ(pair)
        else:
            tell_ = None if (outputs or alike) and _penalties_differ(pair) is None else True
        if tell_ is not None:
            tell(pair, setting, sure=tell_)
    return True


def _same_outputs(pair: Pair) -> bool:
    """Whether the same rows and weights gave the same outputs in all steps that have these on both
    sides; outputs may be built otherwise.
    """
    steps = steps_from_one_state(pair)
    for fit, loop in steps:
        ours, theirs = ([np.ravel(p) for p in outputs_of(s.outputs)] for s in (fit, loop))
        if not all_close_to(ours, theirs, forward_tolerance(compute_dtype(fit.model))):
            return False
    return bool(steps)


def _penalties_differ(pair: Pair) -> bool | None:
    """Whether the two losses have other terms beside those of the outputs: the losses of the
    layers, or the same by hand.

    Returns:
        None where they have the same; True where they have others; False where these are too small
        to be seen in the losses of both, or could not be read.
    """
    first = [(fit.layer_losses, loop.layer_losses) for fit, loop in steps_from_one_state(pair)[:1]]
    if first and each_close(first[0][0], first[0][1], _PENALTIES):
        return None
    steps = [side.close[0] for side in pair.sides if side.close]
    if len(pair.losses) < len(pair.sides) or len(steps) < len(pair.sides):
        return True
    totals = []
    for side, step in zip(pair.sides, steps, strict=True):
        own, reading = penalties_of(step.model), pair.losses[side.name]
        if not each_close(step.layer_losses, float(own.of(step.before)), FORWARD):
            return True  # of outputs, or of a layer of the user's own
        totals.append(float((own if own.regularizers else reading.lent).of(steps[0].before)))
    if not each_close(totals[0], totals[1], _PENALTIES):
        return True
    return None if all(map(_shows, pair.losses.values())) else False


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


def tell(pair: Pair, setting: LayerSetting, sure: bool = True) -> None:
    """Name the pitfall that a setting is where that is `sure`, or note that it differs."""
    where, observed, correct = setting.where, setting.observed, setting.correct
    if setting.key == LAYERS:
        pair.findings.unexplained.append("the two sides train models of different layers")
        return
    id_ = _pitfall_of(setting.key, observed, correct)
    if id_ is None or not sure:
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
