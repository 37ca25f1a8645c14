"""Are averaged weights written back?"""

from __future__ import annotations

from typing import Any

import keras
import pytest

from tests.twintrain.diagnosis.traces import Practice, named, pair_of
from twintrain.diagnosis.stages.averaged_weights import check_average
from twintrain.diagnosis.watch.trace import Arrays, Trace, value_of

AVERAGING = Practice(optimizer=lambda: keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5))


def averages(trace: Trace) -> Arrays:
    applied = trace.steps[-1].applied
    assert applied is not None
    return [value_of(v) for v in applied.optimizer._model_variables_moving_average]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ((0, 1), []),
        ((), []),
        ((0,), [("ema_not_finalized", "custom_loop", None)]),
        ((1,), [("ema_not_finalized", "keras_fit", None)]),
    ],
    ids=["on both", "on neither", "by fit", "by the loop"],
)
def test_averages_that_are_not_written_back_are_named(
    written: tuple[int, ...], found: list[Any]
) -> None:
    def plant(*traces: Trace) -> None:
        for side in written:
            traces[side].kept = averages(traces[side])

    pair = pair_of(AVERAGING, AVERAGING, plant=plant)
    assert check_average(pair)
    assert named(pair) == found
    assert pair.findings.ruled_out == {"ema_not_finalized"}


def test_without_averages_there_is_nothing_to_look_for() -> None:
    pair = pair_of()
    assert not check_average(pair)
    assert pair.findings.ruled_out == set()
