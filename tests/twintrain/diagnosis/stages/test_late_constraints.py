"""Weights that leave their constraints late."""

from __future__ import annotations

import keras
import pytest

from tests.twintrain.diagnosis.traces import Practice, data, named, nothing, pair_of, small_model
from twintrain.diagnosis.replay.parting import Parting
from twintrain.diagnosis.stages.late_constraints import check_late_constraints
from twintrain.diagnosis.stages.late_parting import LateRuns
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import FIT, LOOP, snapshot

LIMIT = 2.0


@pytest.fixture(scope="module")
def plain() -> Pair:
    return pair_of(Practice(), Practice())


def run(factor: float, constrained: bool = True) -> Milestones:
    """Three epochs, whose last weights are those of the start times a factor."""
    limit = keras.constraints.MaxNorm(LIMIT) if constrained else None
    model = small_model(constraint=limit)
    made = Milestones(model)
    start = snapshot(model)
    made.states = [start, start, [value * factor for value in start], start]
    return made


def look(pair: Pair, fit: Milestones, loop: Milestones, epoch: int = 2) -> list[object]:
    pair.findings.causes.clear()
    late = LateRuns({FIT: fit, LOOP: loop}, Parting(epoch, 0.1, 1.0), data(12, 1), True)
    assert check_late_constraints(pair, late)
    return list(named(pair))


@pytest.mark.parametrize("side", [FIT, LOOP])
def test_the_side_that_left_its_constraint_is_named(plain: Pair, side: str) -> None:
    runs = {FIT: run(1.0), LOOP: run(1.0)} | {side: run(20.0)}
    assert look(plain, runs[FIT], runs[LOOP]) == [("constraints_not_applied", side, None)]
    (evidence,) = plain.findings.causes[0].evidence
    assert "after epoch 2 (MaxNorm)" in evidence.quantity


def test_nothing_is_said_within_the_limits_of_both_or_of_none(plain: Pair) -> None:
    look(plain, run(1.0), run(0.5))
    look(plain, run(20.0), run(20.0))
    look(plain, run(1.0, constrained=False), run(20.0, constrained=False))
    look(plain, run(1.0), run(20.0), epoch=3)
    assert nothing(plain)
