"""Optimizers that start anew."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import STEPS, Practice, named, nothing, pair_of
from twintrain.diagnosis.stages.learning_rate import check_rates
from twintrain.diagnosis.stages.optimizer_state import check_state
from twintrain.diagnosis.watch.trace import Trace

EVERY = frozenset(range(1, 2 * STEPS))
EPOCH = frozenset({STEPS})


def momentum() -> keras.Optimizer:
    return keras.optimizers.SGD(0.1, momentum=0.9)


def plain() -> keras.Optimizer:
    return keras.optimizers.SGD(0.1)


def scheduled() -> keras.Optimizer:
    return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.8))


def adam() -> keras.Optimizer:
    return keras.optimizers.Adam(0.01)


def order(epoch: int, rows: int) -> np.ndarray:
    return np.random.default_rng(100 + epoch).permutation(rows)


@pytest.mark.parametrize("optimizer", [momentum, scheduled, adam])
@pytest.mark.parametrize(("anew", "step"), [(EPOCH, STEPS), (EVERY, 1)])
@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_an_optimizer_made_anew_is_named_whatever_the_order_of_the_batches(
    optimizer: Any, anew: Any, step: int, side: str
) -> None:
    right = Practice(optimizer=optimizer, order=order)
    wrong = Practice(optimizer=optimizer, anew=anew)
    pair = pair_of(wrong, right) if side == "keras_fit" else pair_of(right, wrong)
    assert check_state(pair)
    check_rates(pair)
    assert named(pair) == [("optimizer_state_reset", side, step)]
    change, counts = pair.findings.causes[0].evidence
    assert float(change.observed) == pytest.approx(float(change.replayed), rel=1e-3)
    assert float(change.observed) != pytest.approx(float(change.correct), rel=1e-3)
    assert (counts.observed, counts.expected) == ("0", str(step))


@pytest.mark.parametrize("anew", [EPOCH, EVERY])
def test_plain_descent_has_nothing_to_lose(anew: Any) -> None:
    pair = pair_of(Practice(optimizer=plain), Practice(optimizer=plain, anew=anew))
    assert check_state(pair)
    assert nothing(pair)
    assert "optimizer_state_reset" in pair.findings.ruled_out


@pytest.mark.parametrize("anew", [frozenset(), EPOCH, EVERY])
def test_what_both_sides_do_is_no_difference(anew: Any) -> None:
    pair = pair_of(Practice(anew=anew), Practice(anew=anew))
    check_state(pair)
    check_rates(pair)
    assert nothing(pair)


def test_one_that_starts_anew_more_often_is_named_where_it_does_so_alone() -> None:
    pair = pair_of(Practice(anew=EPOCH), Practice(anew=EVERY))
    check_state(pair)
    assert named(pair) == [("optimizer_state_reset", "custom_loop", 1)]


def test_moments_set_to_zero_are_named() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        applied = loop.steps[STEPS].applied
        assert applied is not None
        applied.state = [s if s.shape == () else np.zeros_like(s) for s in applied.state]

    pair = pair_of(plant=plant)
    check_state(pair)
    assert named(pair) == [("optimizer_state_reset", "custom_loop", STEPS)]


def test_a_count_that_starts_over_is_named() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for number, step in enumerate(loop.steps[STEPS:]):
            assert step.applied is not None
            step.applied.iterations = number
            step.applied.state[0] = np.array(number)

    pair = pair_of(plant=plant)
    check_state(pair)
    assert named(pair) == [("optimizer_state_reset", "custom_loop", STEPS)]


def test_two_optimizers_that_take_turns_keep_what_they_have() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        both = [adam(), adam()]
        for optimizer in both:
            optimizer.build(loop.steps[0].model.trainable_variables)
        for number, step in enumerate(loop.steps):
            assert step.applied is not None
            step.applied.optimizer = both[number % 2]
            step.applied.iterations = number // 2

    pair = pair_of(plant=plant)
    check_state(pair)
    assert nothing(pair)
