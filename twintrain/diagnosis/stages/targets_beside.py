"""Targets of other rows, where nothing but the loss shows them: it is computed by operations of
TensorFlow, from what stands in a variable.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from twintrain.diagnosis.replay.losses import LossReading
from twintrain.diagnosis.stages.loss_reading import read_losses
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.targets import TARGETS, hand_on, name_pairing, pairings
from twintrain.diagnosis.watch.frozen_rows import as_rows
from twintrain.diagnosis.watch.trace import Step


def read_by_variables(pair: Pair, side: Side) -> dict[str, LossReading] | None:
    """Try what variables held for the targets of a side whose loss no replay gives; name it where
    those are targets of other rows, and only they give the loss.

    Returns:
        How each side computes its loss, read with these; None where no variable explains it.
    """
    data = pair.subject.train
    if data.part(TARGETS) is None:
        return None
    before = [step.fed for step in side.steps]
    for pairing in pairings(data, side, TARGETS, _variables):
        if not pairing.is_wrong:
            continue
        found: dict[str, LossReading] = {}
        wanted = {*pair.losses, side.name}
        try:
            hand_on(data, side, pairing)
            found = read_losses(pair) or {}
        finally:
            if not wanted <= set(found):
                for step, fed in zip(side.steps, before, strict=True):
                    step.fed = fed
        if wanted <= set(found):
            name_pairing(pair, side.name, pairing, None)
            return found
    return None


def _variables(steps: list[Step], part: int) -> Iterator[np.ndarray]:
    """What each variable held in all of some steps, a row per input."""
    for name in steps[0].beside:
        values = [step.beside.get(name) for step in steps]
        whole = [as_rows(value) for value in values if value is not None]
        if len(whole) == len(steps) and len({value.shape[1:] for value in whole}) == 1:
            yield np.concatenate(whole)
