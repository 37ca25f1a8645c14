"""Stage 'loss': what the losses that both sides call are handed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import named, nothing, pair_of
from twintrain.diagnosis.stages.loss_calls import check_loss_calls
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.trace import LossCall, Trace

TARGETS, WEIGHTS = np.arange(8.0), np.linspace(0.5, 2.0, 8)
Call = tuple[type, np.ndarray, np.ndarray | None]
PLAIN: Call = (keras.losses.MeanSquaredError, TARGETS, None)
WEIGHTED: Call = (keras.losses.MeanSquaredError, TARGETS, WEIGHTS)


def called(fit: list[Call], loop: list[Call]) -> Pair:
    """Sides whose losses no replay gives, and what these called in the first step."""

    def plant(fit_trace: Trace, loop_trace: Trace) -> None:
        for trace, calls in ((fit_trace, fit), (loop_trace, loop)):
            trace.steps[0].losses = [LossCall(loss(), w, y) for loss, y, w in calls]

    return pair_of(plant=plant)


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_weights_that_one_side_leaves_out_are_named(side: str) -> None:
    right, wrong = [WEIGHTED, WEIGHTED], [PLAIN, PLAIN]
    pair = called(wrong, right) if side == "keras_fit" else called(right, wrong)
    assert check_loss_calls(pair)
    assert named(pair) == [("weights_ignored", side, 0)]
    (evidence,) = pair.findings.causes[0].evidence
    assert (evidence.kind, evidence.observed, evidence.expected) == ("reading", "none", "2")


@pytest.mark.parametrize(
    ("fit", "loop"),
    [
        ([WEIGHTED], [WEIGHTED]),
        ([PLAIN], [PLAIN]),
        (
            [PLAIN],
            [(keras.losses.MeanSquaredError, TARGETS, np.ones(8))],
        ),  # do nothing
        ([WEIGHTED], [(keras.losses.MeanAbsoluteError, TARGETS, None)]),  # another loss
        ([WEIGHTED], [(keras.losses.MeanSquaredError, TARGETS + 1, None)]),  # other targets
        ([WEIGHTED], []),
    ],
)
def test_nothing_is_named_where_they_are_alike_or_cannot_be_compared(
    fit: list[Call], loop: list[Call]
) -> None:
    pair = called(fit, loop)
    check_loss_calls(pair)
    assert nothing(pair)
