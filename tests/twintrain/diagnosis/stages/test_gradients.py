"""From the loss to the gradients an optimizer is given."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import Practice, named, nothing, pair_of
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.stages.gradients import (
    check_accumulation,
    check_clipping,
    check_gradients,
    check_scale,
)
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.watch.trace import Trace

LIMIT = 0.05


def scaling() -> keras.Optimizer:
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=1024)


def scaled_in(*sides: int) -> Any:
    def plant(*traces: Trace) -> None:
        for side in sides:
            for step in traces[side].steps:
                step.scale = 1024.0

    return plant


@pytest.mark.parametrize(
    "check", [check_scale, check_accumulation, check_clipping], ids=lambda check: check.__name__
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
    assert line.endswith("is not that of its loss (step 2)")


def accumulated(factor: float) -> Any:
    """Every two steps, one update by both gradients."""

    def plant(fit: Trace, loop: Trace) -> None:
        for first, second in zip(loop.steps[::2], loop.steps[1::2], strict=True):
            assert second.applied is not None
            pairs: Any = zip(first.gradients, second.gradients, strict=True)
            second.applied.gradients = [factor * (a + b) for a, b in pairs]
            first.applied = None

    return plant


@pytest.mark.parametrize(("factor", "said"), [(1.0, "summed"), (0.5, "mean"), (0.3, "unknown")])
def test_gradients_of_several_batches_are_named(factor: float, said: str) -> None:
    pair = pair_of(plant=accumulated(factor))
    check_accumulation(pair)
    assert named(pair) == [("gradient_accumulation", "custom_loop", 0)]
    evidence = pair.findings.causes[0].evidence[0]
    assert evidence.observed == f"2 batches per update, {said}"
    assert evidence.expected == "every batch"


def together(gradients: list[Any]) -> list[Any]:
    return list(tf.clip_by_global_norm(gradients, LIMIT)[0])


def one_by_one(gradients: list[Any]) -> list[Any]:
    return [tf.clip_by_norm(gradient, LIMIT) for gradient in gradients]


def test_clipping_one_by_one_instead_of_together_is_named() -> None:
    pair = pair_of(Practice(handed=together), Practice(handed=one_by_one))
    check_clipping(pair)
    assert named(pair) == [("clip_per_variable_vs_global", "custom_loop", 0)]
    rule, norm = pair.findings.causes[0].evidence
    assert (rule.observed, rule.expected) == ("per variable, at 0.05", "global, at 0.05")
    assert float(norm.observed) > float(norm.correct)
    assert float(norm.correct) == pytest.approx(LIMIT, rel=1e-3)


def test_the_optimizers_own_clipping_equals_clipping_by_hand() -> None:
    own = Practice(optimizer=lambda: keras.optimizers.Adam(0.01, global_clipnorm=LIMIT))
    pair = pair_of(own, Practice(handed=together))
    check_clipping(pair)
    assert nothing(pair)


def test_clipping_on_one_side_only_is_another_optimizer() -> None:
    pair = pair_of(loop=Practice(handed=together))
    check_clipping(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]


def test_gradients_that_are_twisted_are_not_explained() -> None:
    def twisted(gradients: list[Any]) -> list[Any]:
        return [tf.constant(np.asarray(g)[::-1].copy()) for g in gradients]

    pair = pair_of(loop=Practice(handed=twisted))
    check_clipping(pair)
    assert not pair.findings.causes
    assert pair.findings.unexplained == [
        "custom_loop: gradients are changed on their way to the optimizer"
    ]
