"""From the gradients to the weights, by an optimizer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import STEPS, Practice, named, nothing, pair_of, small_model
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.updates import replay_update
from twintrain.diagnosis.stages.update import check_optimizer, check_trainable
from twintrain.diagnosis.watch.trace import Trace


def test_equal_updates_name_nothing() -> None:
    pair = pair_of()
    assert check_trainable(pair)
    assert check_optimizer(pair)
    assert nothing(pair)
    assert pair.findings.ruled_out == {
        "trainable_flags",
        "optimizer_differs",
        "constraints_not_applied",
    }


def test_variables_that_are_left_out_are_named() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in loop.steps:
            assert step.applied is not None
            step.applied.gradients[:2] = [None, None]

    pair = pair_of(plant=plant)
    check_trainable(pair)
    assert named(pair) == [("trainable_flags", "custom_loop", 0)]
    counts, names = pair.findings.causes[0].evidence
    assert (counts.observed, counts.expected) == ("2", "4")
    assert names.quantity == "stay, but move on the other side"
    assert names.observed.count("kernel") == names.observed.count("bias") == 1


def test_variables_that_fit_leaves_out_are_named_on_fit() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in fit.steps:
            assert step.applied is not None
            step.applied.gradients[0] = None

    pair = pair_of(plant=plant)
    check_trainable(pair)
    assert named(pair) == [("trainable_flags", "keras_fit", 0)]


def test_a_frozen_layer_of_fit_is_held_against_the_loop() -> None:
    def frozen() -> keras.Model:
        model = small_model()
        model.layers[1].trainable = False
        return model

    pair = pair_of(fit=Practice(build=frozen))
    check_trainable(pair)
    assert named(pair) == [("trainable_flags", "custom_loop", 0)]
    assert pair.findings.causes[0].evidence[1].quantity == "move, but stay on the other side"


def split(trace: Trace) -> None:
    """Two optimizers of the same settings, the later layer first."""
    for step in trace.steps:
        whole = step.applied
        assert whole is not None
        parts = []
        for chosen in ((2, 3), (0, 1)):
            # Of Adam: iterations and rate, then two moments per variable.
            moments = [whole.state[2 + 2 * i + k] for i in chosen for k in (0, 1)]
            parts.append(
                replace(
                    whole,
                    variables=[whole.variables[i] for i in chosen],
                    gradients=[whole.gradients[i] for i in chosen],
                    state=[*whole.state[:2], *moments],
                )
            )
        whole.parts = parts


def test_two_optimizers_of_a_step_are_replayed_together() -> None:
    pair = pair_of(plant=lambda fit, loop: split(loop))
    assert check_trainable(pair)
    for step, same in zip(pair.loop.close, pair.fit.close, strict=True):
        replayed = replay_update(step)
        assert replayed is not None
        assert all(map(np.allclose, replayed, same.after))


@pytest.mark.parametrize(
    ("optimizer", "quantity", "observed", "correct"),
    [
        (lambda: keras.optimizers.RMSprop(0.01), "optimizer", "RMSprop", "Adam"),
        (lambda: keras.optimizers.Adam(0.01, beta_1=0.8), "optimizer beta_1", "0.8", "0.9"),
    ],
)
def test_another_optimizer_or_setting_is_named(
    optimizer: object, quantity: str, observed: str, correct: str
) -> None:
    pair = pair_of(loop=Practice(optimizer=optimizer))  # type: ignore[arg-type]
    check_optimizer(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]
    assert pair.findings.causes[0].first_visible is Stage.UPDATE
    change, reading = pair.findings.causes[0].evidence
    assert (reading.quantity, reading.observed) == (quantity, observed)
    assert reading.expected == correct
    assert float(change.observed) == pytest.approx(float(change.replayed), rel=1e-3)
    assert float(change.observed) != pytest.approx(float(change.correct), rel=1e-3)
    assert "keras.optimizers.Adam(learning_rate=0.01" in pair.findings.causes[0].fix


def test_a_weight_decay_that_is_little_beside_the_weight_shows_in_its_change() -> None:
    decayed = Practice(optimizer=lambda: keras.optimizers.AdamW(0.01, weight_decay=0.004))
    pair = pair_of(decayed, Practice())
    check_optimizer(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]
    change, reading = pair.findings.causes[0].evidence
    assert (reading.observed, reading.expected) == ("Adam", "AdamW")
    assert change.observed == change.replayed != change.correct


def decaying(told: bool) -> keras.Optimizer:
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.5)
    if told:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_what_is_excluded_from_weight_decay_on_one_side_alone_is_named(side: str) -> None:
    fit, loop = (
        Practice(optimizer=lambda told=name == side: decaying(told))  # type: ignore[misc]
        for name in ("keras_fit", "custom_loop")
    )
    pair = pair_of(fit, loop)
    check_optimizer(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]
    assert not pair.findings.unexplained
    (cause,) = pair.findings.causes
    reading = cause.evidence[-1]
    assert reading.quantity == "optimizer variables without weight decay"
    assert {reading.observed, reading.expected} == {"None", "numbers 1, 3"}
    with_it = "exclude_from_weight_decay(var_names=['bias'])"
    assert (with_it in cause.fix) == (side == "keras_fit")


def test_what_both_exclude_from_weight_decay_is_no_difference() -> None:
    both = Practice(optimizer=lambda: decaying(True))
    pair = pair_of(both, both)
    check_optimizer(pair)
    assert nothing(pair)


def test_weights_that_are_changed_by_more_than_the_optimizer_are_not_explained() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        after = loop.steps[2].after
        assert after is not None
        after[0] = after[0] * 0.99  # decay by hand

    pair = pair_of(plant=plant)
    check_optimizer(pair)
    assert not pair.findings.causes
    (line,) = pair.findings.unexplained
    assert line.startswith("custom_loop: ")
    assert "is changed by more than the optimizer (step 3: by up to 0.0" in line


def test_an_optimizer_that_becomes_another_in_the_second_epoch_is_named_there() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        other = keras.optimizers.Adam(0.01, epsilon=1e-3)
        other.build(loop.steps[0].model.trainable_variables)
        for step in loop.steps[STEPS:]:
            assert step.applied is not None
            step.applied.optimizer = other
            step.applied.state = []

    pair = pair_of(plant=plant)
    check_optimizer(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", STEPS)]
    assert "epsilon=1e-07" in pair.findings.causes[0].fix


class OwnAdam(keras.optimizers.Adam):
    """Adam by another name, or one that goes twice as far."""

    times = 1.0

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient, variable, self.times * learning_rate)


@pytest.mark.parametrize("times", [1.0, 2.0])
def test_a_class_of_ones_own_is_told_by_what_it_does(
    times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnAdam, "times", times)
    pair = pair_of(loop=Practice(optimizer=lambda: OwnAdam(0.01)))
    check_optimizer(pair)
    expected = [] if times == 1.0 else [("optimizer_differs", "custom_loop", 0)]
    assert named(pair) == expected
    assert not pair.findings.unexplained


RATE, DECAY = 0.01, 0.02


def decayed_by_hand(share: float) -> Practice:
    """Takes a share of every weight before its optimizer updates."""

    def handed(gradients: Any) -> Any:
        for variable in models[-1].trainable_variables:
            variable.assign(variable * (1 - share))
        return gradients

    def build() -> keras.Model:
        models.append(small_model())
        return models[-1]

    models: list[keras.Model] = []
    return Practice(build=build, handed=handed)


def test_a_decay_by_hand_is_the_other_sides_optimizer() -> None:
    fit = Practice(optimizer=lambda: keras.optimizers.AdamW(RATE, weight_decay=DECAY))
    pair = pair_of(fit, decayed_by_hand(RATE * DECAY))
    check_optimizer(pair)
    assert not named(pair)
    assert "changed by more than the optimizer" in pair.findings.unexplained[0]


def test_another_decay_by_hand_is_not() -> None:
    fit = Practice(optimizer=lambda: keras.optimizers.AdamW(RATE, weight_decay=DECAY))
    pair = pair_of(fit, decayed_by_hand(2 * RATE * DECAY))
    check_optimizer(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]
