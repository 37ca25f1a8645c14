"""What becomes of batches that are left over at an epoch's end: of five, two go into an update."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from tests.twintrain.diagnosis.traces import Practice, named, nothing, pair_of
from twintrain.diagnosis.stages.gradients import check_accumulation
from twintrain.diagnosis.stages.left_over import APPLIED, CARRIED, DROPPED, PILED, check_left_over
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.trace import Trace

# Of each way, the steps (from 0) whose gradients go into the updates, the last of which is when.
WAYS = {
    CARRIED: [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)],
    DROPPED: [(0, 1), (2, 3), (5, 6), (7, 8)],
    APPLIED: [(0, 1), (2, 3), (4,), (5, 6), (7, 8), (9,)],
    PILED: [(0, 1), (2, 3), (4, 5, 6), (7, 8)],
}


def adds_up(groups: list[tuple[int, ...]], factor: float = 0.5) -> Any:
    def plant(fit: Trace, loop: Trace) -> None:
        applied = [step.applied for step in loop.steps]
        for step in loop.steps:
            step.applied = None
        for group in groups:
            update: Any = applied[group[-1]]
            gradients: Any = [loop.steps[number].gradients for number in group]
            update.gradients = [factor * sum(parts) for parts in zip(*gradients, strict=True)]
            loop.steps[group[-1]].applied = update

    return plant


def looked_at(groups: list[tuple[int, ...]], factor: float = 0.5) -> Pair:
    keras_way = Practice(
        optimizer=lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2)
    )
    pair = pair_of(fit=keras_way, plant=adds_up(groups, factor))
    check_accumulation(pair)
    check_left_over(pair)
    return pair


@pytest.mark.parametrize("way", [DROPPED, APPLIED, PILED])
def test_another_way_than_keras_is_named(way: str) -> None:
    pair = looked_at(WAYS[way])
    assert named(pair) == [("gradient_accumulation", "custom_loop", 5)]
    (evidence,) = pair.findings.causes[0].evidence
    assert evidence.quantity == "gradients of the last 1 of 5 batches of epoch 1"
    assert (evidence.observed, evidence.expected) == (way, CARRIED)


def test_what_keras_does_is_not() -> None:
    assert nothing(looked_at(WAYS[CARRIED]))


def test_a_sum_that_is_none_of_these_names_nothing() -> None:
    pair = looked_at([(0, 1), (2, 3), (5, 6), (7, 8)])
    pair.findings.causes.clear()
    update = pair.loop.steps[6].applied
    assert update is not None
    update.gradients = [gradient * 3 for gradient in update.gradients if gradient is not None]
    assert not check_left_over(pair)
    assert not named(pair)
