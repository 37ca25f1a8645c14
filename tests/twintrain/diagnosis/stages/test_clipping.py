"""What is done to gradients before they are applied."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import Practice, cross_entropy, named, nothing, pair_of
from twintrain.diagnosis.stages.clipping import check_clipping, check_rescaled
from twintrain.diagnosis.stages.gradients import check_gradients
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.watch.trace import Trace

LIMIT = 0.05
HIGH = 1000.0


def together(gradients: list[Any]) -> list[Any]:
    return list(tf.clip_by_global_norm(gradients, LIMIT)[0])


def one_by_one(gradients: list[Any]) -> list[Any]:
    return [tf.clip_by_norm(gradient, LIMIT) for gradient in gradients]


def by_value(gradients: list[Any]) -> list[Any]:
    return [tf.clip_by_value(gradient, -0.01, 0.01) for gradient in gradients]


def times(factor: float) -> Any:
    return lambda gradients: [factor * tf.convert_to_tensor(g) for g in gradients]


def descent() -> keras.Optimizer:
    return keras.optimizers.SGD(0.1)


@pytest.mark.parametrize("check", [check_clipping, check_rescaled])
def test_equal_gradients_name_nothing(check: Any) -> None:
    pair = pair_of()
    assert check(pair)
    assert nothing(pair)
    assert not pair.findings.notes


def test_clipping_one_by_one_instead_of_together_is_named() -> None:
    pair = pair_of(Practice(handed=together), Practice(handed=one_by_one))
    check_clipping(pair)
    assert named(pair) == [("clip_per_variable_vs_global", "custom_loop", 0)]
    norm, *_, rule = pair.findings.causes[0].evidence
    assert (rule.observed, rule.expected) == ("per variable, at 0.05", "global, at 0.05")
    assert float(norm.observed) > float(norm.correct)
    assert float(norm.correct) == pytest.approx(LIMIT, rel=1e-3)


def test_another_limit_is_another_setting() -> None:
    wider = Practice(handed=lambda gs: list(tf.clip_by_global_norm(gs, 2 * LIMIT)[0]))
    pair = pair_of(Practice(handed=together), wider)
    check_clipping(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]
    assert "tf.clip_by_global_norm(gradients, 0.05)" in pair.findings.causes[0].fix


def test_the_optimizers_own_clipping_equals_clipping_by_hand() -> None:
    own = Practice(optimizer=lambda: keras.optimizers.Adam(0.01, global_clipnorm=LIMIT))
    pair = pair_of(own, Practice(handed=together))
    check_clipping(pair)
    assert nothing(pair)


@pytest.mark.parametrize("handed", [together, one_by_one, by_value])
@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_clipping_on_one_side_only_is_named_on_the_other(handed: Any, side: str) -> None:
    plain, clips = Practice(optimizer=descent), Practice(optimizer=descent, handed=handed)
    pair = pair_of(plain, clips) if side == "keras_fit" else pair_of(clips, plain)
    check_clipping(pair)
    assert named(pair) == [("clipping_missing", side, 0)]
    norm, change, rule = pair.findings.causes[0].evidence
    assert rule.observed == "none"
    for replay in (norm, change):
        assert float(replay.observed) == pytest.approx(float(replay.replayed), rel=1e-3)
        assert float(replay.observed) != pytest.approx(float(replay.correct), rel=1e-3)


def test_a_limit_of_the_optimizer_that_nothing_reaches_is_a_note() -> None:
    high = Practice(optimizer=lambda: keras.optimizers.Adam(0.01, global_clipnorm=HIGH))
    pair = pair_of(high)
    check_clipping(pair)
    assert nothing(pair)
    (note,) = pair.findings.notes
    assert "keras_fit: global, at 1000; custom_loop: none" in note


def test_gradients_that_are_twisted_are_not_explained() -> None:
    def twisted(gradients: list[Any]) -> list[Any]:
        return [tf.constant(np.asarray(g)[::-1].copy()) for g in gradients]

    pair = pair_of(loop=Practice(handed=twisted))
    check_clipping(pair)
    assert not pair.findings.causes
    (line,) = pair.findings.unexplained
    assert line.startswith("custom_loop: gradients are changed on their way to the optimizer")


@pytest.mark.parametrize("factor", [0.1, 4.0, -1.0])
@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_gradients_times_a_constant_are_named_and_nothing_else(factor: float, side: str) -> None:
    plain = Practice(optimizer=descent)
    wrong = Practice(optimizer=descent, handed=times(factor))
    pair = pair_of(wrong, plain) if side == "keras_fit" else pair_of(plain, wrong)
    for check in (check_losses, check_gradients, check_rescaled, check_clipping):
        check(pair)
    assert named(pair) == [("gradients_rescaled", side, 0)]
    assert not pair.findings.unexplained
    norm, change = pair.findings.causes[0].evidence
    assert float(norm.observed) == pytest.approx(abs(factor) * float(norm.correct), rel=1e-3)
    assert float(change.observed) == pytest.approx(factor * float(change.correct), rel=1e-2)
    assert f"by {factor:g}" in pair.findings.causes[0].fix


def test_the_same_factor_on_both_sides_is_nothing() -> None:
    both = Practice(handed=times(0.5))
    pair = pair_of(both, both)
    check_rescaled(pair)
    check_clipping(pair)
    assert nothing(pair)


@pytest.mark.parametrize("scale", [1024.0, 0.25])
def test_a_loss_that_is_scaled_by_hand_and_gradients_that_are_scaled_back_are_right(
    scale: float,
) -> None:
    by_hand = Practice(loss=lambda y, p, w: scale * cross_entropy(y, p, w), handed=times(1 / scale))
    pair = pair_of(loop=by_hand)
    for check in (check_losses, check_gradients, check_rescaled, check_clipping):
        check(pair)
    assert nothing(pair)


def test_a_scale_of_the_loss_is_not_accused_where_clipping_hides_the_way_back() -> None:
    by_hand = Practice(
        loss=lambda y, p, w: 128 * cross_entropy(y, p, w),
        handed=lambda gradients: together([g / 128 for g in gradients]),
    )
    pair = pair_of(Practice(handed=together), by_hand)
    for check in (check_losses, check_gradients, check_rescaled, check_clipping):
        check(pair)
    assert not pair.findings.causes
    (line,) = pair.findings.unexplained
    assert "128 times the mean" in line


def test_a_summed_loss_whose_gradients_are_divided_by_the_rows_is_a_mean() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in loop.steps:
            assert step.target is not None
            step.target *= step.size
            step.gradients = [None if g is None else g * step.size for g in step.gradients]

    pair = pair_of(plant=plant)
    for check in (check_losses, check_gradients, check_rescaled, check_clipping):
        check(pair)
    assert nothing(pair)


def test_a_scaled_loss_without_the_way_back_is_the_losses_matter() -> None:
    pair = pair_of(loop=Practice(loss=lambda y, p, w: 10 * cross_entropy(y, p, w)))
    for check in (check_losses, check_gradients, check_rescaled, check_clipping):
        check(pair)
    assert named(pair) == [("loss_reduction", "custom_loop", 0)]
    assert "10 times the mean" in pair.findings.causes[0].fix


def test_a_loss_scale_optimizer_is_no_factor() -> None:
    def plant(*traces: Trace) -> None:
        for step in traces[1].steps:
            assert step.applied is not None
            step.scale = 1024.0
            step.gradients = [None if g is None else g * 1024 for g in step.gradients]
            step.applied.gradients = step.gradients

    pair = pair_of(plant=plant)
    check_rescaled(pair)
    check_clipping(pair)
    assert nothing(pair)


def test_a_factor_beside_a_loss_that_is_not_read_is_not_named() -> None:
    own = Practice(loss=lambda y, p, w: tf.reduce_mean(tf.square(p)) * 8, handed=times(1 / 8))
    pair = pair_of(loop=own)
    for check in (check_losses, check_rescaled, check_clipping):
        check(pair)
    assert not pair.findings.causes
    assert any("multiplied by 0.125" in line for line in pair.findings.unexplained)
