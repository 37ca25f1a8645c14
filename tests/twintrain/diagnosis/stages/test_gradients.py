"""From the loss to the gradients an optimizer is given."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import Practice, cross_entropy, named, nothing, pair_of
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.stages.gradients import (
    check_accumulation,
    check_gradients,
    check_scale,
)
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.watch.trace import Trace


def scaling() -> keras.Optimizer:
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=1024)


def scaled_in(*sides: int) -> Any:
    def plant(*traces: Trace) -> None:
        for side in sides:
            for step in traces[side].steps:
                step.scale = 1024.0

    return plant


@pytest.mark.parametrize(
    "check", [check_scale, check_accumulation], ids=lambda check: check.__name__
)
def test_equal_gradients_name_nothing(check: Any) -> None:
    pair = pair_of()
    assert check(pair)
    assert nothing(pair)
    assert len(pair.findings.ruled_out) == 1


def test_a_loss_scale_on_both_sides_is_right() -> None:
    right = Practice(optimizer=scaling)
    pair = pair_of(right, right, plant=scaled_in(0, 1))
    check_scale(pair)
    assert nothing(pair)


@pytest.mark.parametrize(("scaled", "side"), [(0, "custom_loop"), (1, "keras_fit")])
def test_a_loss_that_is_not_scaled_is_named_with_the_norm(scaled: int, side: str) -> None:
    right = Practice(optimizer=scaling)
    pair = pair_of(right, right, plant=scaled_in(scaled))
    check_scale(pair)
    assert named(pair) == [("loss_scale_not_applied", side, 0)]
    assert pair.findings.causes[0].first_visible is Stage.GRADIENTS
    evidence = pair.findings.causes[0].evidence[0]
    assert float(evidence.expected) == pytest.approx(1024 * float(evidence.observed), rel=1e-4)


@pytest.mark.parametrize(
    "held", [2048, 2048.0, np.float32(2048), tf.Variable(2048.0), keras.Variable(2048.0)]
)
def test_a_scale_is_read_however_the_optimizer_holds_it(held: Any) -> None:
    right = Practice(optimizer=scaling)
    pair = pair_of(right, right, plant=scaled_in(0))
    applied = pair.loop.close[0].applied
    assert applied is not None
    applied.optimizer.__dict__["dynamic_scale"] = held
    check_scale(pair)
    evidence = pair.findings.causes[0].evidence[0]
    assert float(evidence.expected) == pytest.approx(2048 * float(evidence.observed), rel=1e-4)


def test_a_fixed_factor_asks_for_a_scaled_loss_as_well() -> None:
    right = Practice(optimizer=lambda: keras.optimizers.Adam(0.01, loss_scale_factor=128))
    pair = pair_of(right, right, plant=scaled_in(0))
    check_scale(pair)
    assert named(pair) == [("loss_scale_not_applied", "custom_loop", 0)]


def test_gradients_of_the_loss_are_explained() -> None:
    pair = pair_of()
    check_losses(pair)
    check_gradients(pair)
    assert nothing(pair)


def test_gradients_of_another_loss_are_not() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        gradient = loop.steps[1].gradients[0]
        assert gradient is not None
        loop.steps[1].gradients[0] = gradient + 0.1

    pair = pair_of(plant=plant)
    check_losses(pair)
    check_gradients(pair)
    assert not pair.findings.causes
    (line,) = pair.findings.unexplained
    assert line.startswith("custom_loop: the gradient of")
    assert "is not that of its loss (step 2: norm " in line


def accumulated(factor: float) -> Any:
    """Every two steps, one update by both gradients."""

    def plant(fit: Trace, loop: Trace) -> None:
        for first, second in zip(loop.steps[::2], loop.steps[1::2], strict=True):
            assert second.applied is not None
            pairs: Any = zip(first.gradients, second.gradients, strict=True)
            second.applied.gradients = [factor * (a + b) for a, b in pairs]
            first.applied = None

    return plant


def accumulating() -> Practice:
    return Practice(optimizer=lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2))


@pytest.mark.parametrize(("factor", "said"), [(1.0, "summed"), (0.5, "mean"), (0.3, "unknown")])
def test_gradients_of_several_batches_are_named(factor: float, said: str) -> None:
    pair = pair_of(plant=accumulated(factor))
    check_accumulation(pair)
    assert named(pair) == [("gradient_accumulation", "custom_loop", 0)]
    (cause,) = pair.findings.causes
    *replays, reading = cause.evidence
    assert reading.observed == f"2 batches per update, {said}"
    assert reading.expected == "every batch"
    assert cause.fix == "Apply the gradients of every batch, as keras_fit does."
    assert len(replays) == (said != "unknown")
    for replay in replays:
        assert float(replay.observed) == pytest.approx(float(replay.replayed), rel=1e-4)
        assert float(replay.observed) != pytest.approx(float(replay.correct), rel=1e-3)


def test_losses_divided_by_the_number_of_batches_whose_gradients_are_summed_are_a_mean() -> None:
    half = Practice(loss=lambda y, p, w: cross_entropy(y, p, w) / 2)
    pair = pair_of(accumulating(), half, plant=accumulated(1.0))
    check_losses(pair)
    check_accumulation(pair)
    assert nothing(pair)
