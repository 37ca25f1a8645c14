"""Where two runs part by more than rounding grows to."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import small_model
from twintrain.diagnosis.replay.parting import compared_epochs, parting
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import snapshot


def run(*gaps: float, kept: float = 0.0, moved: float = 0.1) -> Milestones:
    """A run whose first weight is off by this much after each epoch, and in the end."""
    found = Milestones(small_model())
    start = snapshot(found.model)
    found.states = [start]
    for epoch, gap in enumerate(gaps, start=1):
        found.states.append([value + np.float32(moved * epoch) for value in start])
        found.states[-1][0][0, 0] += np.float32(gap)
    found.kept = [value.copy() for value in found.states[-1]]
    found.kept[0][0, 0] += np.float32(kept)
    return found


def test_equal_runs_do_not_part_and_no_noise_is_asked_for() -> None:
    assert parting(run(0, 0, 0), run(0, 0, 0), lambda: pytest.fail("was asked for")) is None


@pytest.mark.parametrize(
    ("noise", "epoch"),
    [
        ((1e-6, 1e-6, 1e-6), 2),  # what rounding grows to is far less
        ((1e-6, 5e-3, 1e-6), 3),  # chaos hides the second epoch
        ((5e-3, 5e-3, 5e-3), None),
        (None, None),  # not measured, and not a twentieth of the way
    ],
)
def test_only_what_is_above_the_noise_counts(
    noise: tuple[float, ...] | None, epoch: int | None
) -> None:
    found = parting(
        run(0, 0.008, 0.008), run(0, 0, 0), lambda: None if noise is None else run(*noise)
    )
    assert (None if found is None else found.epoch) == epoch


def test_a_large_difference_is_believed_without_a_measure_and_told_with_the_way() -> None:
    found = parting(run(0, 0.1), run(0, 0), lambda: None)
    assert found is not None
    assert found.describe() == ("after epoch 2 weights that moved by up to 0.2 are apart by 0.1")


def test_what_they_end_with_counts_too() -> None:
    found = parting(run(0, 0, kept=0.3), run(0, 0), lambda: run(0, 0))
    assert found is not None
    assert found.epoch == 3


def test_runs_whose_epochs_cannot_be_told_apart_are_compared_by_their_ends() -> None:
    short = run(0)
    short.kept = run(0, 0, 0).kept
    assert compared_epochs(short, run(0, 0, 0)) == 1
    assert parting(short, run(0, 0, 0), lambda: None) is None
    # One that stops earlier is compared as far as it goes; when it stops is another matter.
    assert compared_epochs(run(0, 0), run(0, 0, 0)) == 2


def test_models_of_other_shapes_part() -> None:
    other = run(0)
    other.states[1] = other.states[1][:-1]
    found = parting(other, run(0), lambda: None)
    assert found is not None
    assert found.gap == float("inf")
