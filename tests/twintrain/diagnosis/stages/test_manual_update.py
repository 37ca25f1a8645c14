"""Updates without a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import STEPS, Practice, named, nothing, pair_of, small_model
from twintrain.diagnosis.stages.update import check_optimizer

RATE = 0.2


def descend(variable: keras.Variable, gradient: Any) -> None:
    variable.assign_sub(RATE * gradient)


def sgd() -> keras.Optimizer:
    return keras.optimizers.SGD(RATE)


def test_descent_by_hand_equals_sgd() -> None:
    pair = pair_of(Practice(optimizer=sgd), Practice(optimizer=None, by_hand=descend))
    check_optimizer(pair)
    assert nothing(pair)


@pytest.mark.parametrize(
    ("optimizer", "name", "rate"),
    [
        (lambda: keras.optimizers.Adam(0.01), "Adam", 0.01),
        (lambda: keras.optimizers.SGD(0.1), "SGD", 0.1),
    ],
)
def test_descent_by_hand_instead_of_an_optimizer_is_named_with_its_rate(
    optimizer: Any, name: str, rate: float
) -> None:
    pair = pair_of(Practice(optimizer=optimizer), Practice(optimizer=None, by_hand=descend))
    check_optimizer(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]
    change, *kinds, rates = pair.findings.causes[0].evidence
    assert float(change.observed) == pytest.approx(float(change.replayed), rel=1e-2)
    assert float(change.observed) != pytest.approx(float(change.correct), rel=1e-2)
    assert [kind.expected for kind in kinds] == ([name] if name != "SGD" else [])
    assert float(rates.observed) == pytest.approx(RATE, rel=1e-2)
    assert float(rates.expected) == pytest.approx(rate)


def bounded() -> keras.Model:
    return small_model(constraint=keras.constraints.MaxNorm(0.3))


@pytest.mark.parametrize("optimizer", [sgd, lambda: keras.optimizers.Adam(0.01)])
def test_a_weight_that_leaves_its_constraint_is_named(optimizer: Any) -> None:
    right = Practice(build=bounded, optimizer=optimizer)
    pair = pair_of(right, Practice(build=bounded, optimizer=None, by_hand=descend))
    check_optimizer(pair)
    assert ("constraints_not_applied", "custom_loop", 0) in named(pair)
    cause = next(c for c in pair.findings.causes if c.id == "constraints_not_applied")
    (evidence,) = cause.evidence
    assert "kernel" in evidence.quantity
    assert float(evidence.observed) == pytest.approx(float(evidence.replayed), rel=1e-3)
    assert abs(float(evidence.observed)) > abs(float(evidence.correct))


def test_a_constraint_that_is_applied_by_hand_is_right() -> None:
    def constrained(variable: keras.Variable, gradient: Any) -> None:
        descend(variable, gradient)
        if variable.constraint is not None:
            variable.assign(variable.constraint(variable))

    right = Practice(build=bounded, optimizer=sgd)
    pair = pair_of(right, Practice(build=bounded, optimizer=None, by_hand=constrained))
    check_optimizer(pair)
    assert nothing(pair)


def test_a_rule_that_is_not_known_is_told() -> None:
    def signs(variable: keras.Variable, gradient: Any) -> None:
        variable.assign_sub(0.01 * tf.sign(gradient) + 0.003)

    pair = pair_of(loop=Practice(optimizer=None, by_hand=signs))
    check_optimizer(pair)
    assert not pair.findings.causes
    assert pair.findings.unexplained == [
        "custom_loop: no update rule that was tried gives its new weights"
    ]


def test_a_side_of_which_nothing_was_seen_is_told() -> None:
    def plant(fit: Any, loop: Any) -> None:
        for step in loop.steps:
            step.gradients = [None] * len(step.gradients)

    pair = pair_of(loop=Practice(optimizer=None), plant=plant)
    check_optimizer(pair)
    assert pair.findings.unexplained == ["custom_loop: no gradients and no optimizer were seen"]


class Momentum:
    """Descent with momentum, written out."""

    def __init__(self, forgets_in: int | None) -> None:
        self.velocities: dict[int, Any] = {}
        self.calls, self.forgets_in = 0, forgets_in

    def __call__(self, variable: keras.Variable, gradient: Any) -> None:
        if self.forgets_in is not None and self.calls == 4 * self.forgets_in:
            self.velocities.clear()
        self.calls += 1
        velocity = 0.9 * self.velocities.get(id(variable), 0.0) - RATE * gradient
        self.velocities[id(variable)] = velocity
        variable.assign_add(velocity)


def with_momentum() -> keras.Optimizer:
    return keras.optimizers.SGD(RATE, momentum=0.9)


def test_momentum_by_hand_equals_the_optimizers() -> None:
    by_hand = Practice(optimizer=None, by_hand=Momentum(None))
    pair = pair_of(Practice(optimizer=with_momentum), by_hand)
    check_optimizer(pair)
    assert nothing(pair)


def test_momentum_by_hand_that_is_forgotten_with_the_epoch_is_named() -> None:
    by_hand = Practice(optimizer=None, by_hand=Momentum(STEPS))
    pair = pair_of(Practice(optimizer=with_momentum), by_hand)
    check_optimizer(pair)
    assert named(pair) == [("optimizer_state_reset", "custom_loop", STEPS)]
    change, _ = pair.findings.causes[0].evidence
    assert float(change.observed) == pytest.approx(float(change.replayed), rel=1e-2)
    assert float(change.observed) != pytest.approx(float(change.correct), rel=1e-2)


def test_descent_by_hand_without_the_momentum_of_the_other_side_is_named() -> None:
    pair = pair_of(Practice(optimizer=with_momentum), Practice(optimizer=None, by_hand=descend))
    check_optimizer(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]


class Decaying:
    """Descent by hand at a rate that is halved in every epoch."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, variable: keras.Variable, gradient: Any) -> None:
        rate = RATE if self.calls < 4 * STEPS else RATE / 2
        self.calls += 1
        variable.assign_sub(rate * gradient)


def decaying() -> keras.Optimizer:
    schedules = keras.optimizers.schedules
    return keras.optimizers.SGD(schedules.PiecewiseConstantDecay([STEPS - 1], [RATE, RATE / 2]))


@pytest.mark.parametrize(
    ("optimizer", "by_hand", "side"),
    [
        (decaying, descend, "custom_loop"),
        (sgd, Decaying(), "keras_fit"),
    ],
)
def test_a_schedule_that_one_side_lacks_is_named_where_it_shows(
    optimizer: Any, by_hand: Any, side: str
) -> None:
    pair = pair_of(Practice(optimizer=optimizer), Practice(optimizer=None, by_hand=by_hand))
    check_optimizer(pair)
    assert named(pair) == [("learning_rate_schedule", side, STEPS)]


def test_a_schedule_by_hand_equals_the_optimizers() -> None:
    by_hand = Practice(optimizer=None, by_hand=Decaying())
    pair = pair_of(Practice(optimizer=decaying), by_hand)
    check_optimizer(pair)
    assert nothing(pair)
