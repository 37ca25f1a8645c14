"""Steps, and those of which everything was kept."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import ROWS, STEPS, pair_of, small_model
from twintrain.diagnosis.watch.trace import Trace, complete_steps, snapshot


def test_complete_steps_keep_their_number_and_all_they_had() -> None:
    steps = pair_of().fit.steps
    found = complete_steps(steps)
    assert [step.number for step in found] == list(range(2 * STEPS))
    for step, complete in zip(steps, found, strict=True):
        assert {**vars(complete), "number": None} == {**vars(step), "number": None}


@pytest.mark.parametrize("lost", ["before", "after", "target"])
def test_a_step_that_lacks_something_is_not_complete(lost: str) -> None:
    steps = pair_of().fit.steps
    setattr(steps[1], lost, None)
    assert [step.number for step in complete_steps(steps[:3])] == [0, 2]


def test_the_size_of_a_batch() -> None:
    steps = pair_of().fit.steps[:STEPS]
    assert sum(step.size for step in steps) == ROWS
    assert steps[-1].size == 4


def test_a_snapshot_is_a_copy() -> None:
    model = small_model()
    before = snapshot(model)
    model.variables[0].assign_add(np.ones((5, 4), np.float32))
    assert np.allclose(snapshot(model)[0] - before[0], 1)


def test_the_model_is_the_one_that_was_trained() -> None:
    trace = pair_of().fit.trace
    assert trace.model is trace.steps[0].model
    assert Trace("keras_fit", []).model is None
