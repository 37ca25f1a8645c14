"""Learning rates, step by step."""

from __future__ import annotations

from collections.abc import Callable

import keras
import pytest

from tests.twintrain.diagnosis.traces import STEPS, Practice, named, nothing, pair_of
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.stages.learning_rate import check_rates
from twintrain.diagnosis.watch.trace import Trace

Rate = Callable[[int], float]


def rates(fit: Rate, loop: Rate) -> Callable[[Trace, Trace], None]:
    def plant(*traces: Trace) -> None:
        for trace, rate in zip(traces, (fit, loop), strict=True):
            for number, step in enumerate(trace.steps):
                assert step.applied is not None
                step.applied.learning_rate = rate(number)

    return plant


def constant(number: int) -> float:
    return 0.01


def decaying(number: int) -> float:
    return 0.01 * 0.9**number


@pytest.mark.parametrize("rate", [constant, decaying])
def test_equal_rates_name_nothing(rate: Rate) -> None:
    pair = pair_of(plant=rates(rate, rate))
    assert check_rates(pair)
    assert nothing(pair)
    assert "learning_rate_schedule" in pair.findings.ruled_out


@pytest.mark.parametrize(
    ("fit", "loop", "side", "step"),
    [
        (decaying, constant, "custom_loop", 1),
        (constant, decaying, "keras_fit", 1),
        (decaying, lambda number: 0.01 * 0.9 ** (number // STEPS), "custom_loop", 1),
        (lambda n: 0.01 if n < STEPS else 0.005, constant, "custom_loop", STEPS),
    ],
    ids=["none in the loop", "none in fit", "once per epoch", "from the second epoch on"],
)
def test_a_schedule_that_one_side_lacks_is_named(
    fit: Rate, loop: Rate, side: str, step: int
) -> None:
    pair = pair_of(plant=rates(fit, loop))
    check_rates(pair)
    assert named(pair) == [("learning_rate_schedule", side, step)]
    assert pair.findings.causes[0].first_visible is Stage.UPDATE
    observed, correct = (fit, loop) if side == "keras_fit" else (loop, fit)
    evidence = next(e for e in pair.findings.causes[0].evidence if e.kind == "reading")
    assert float(evidence.observed) == pytest.approx(observed(step), rel=1e-4)
    assert float(evidence.expected) == pytest.approx(correct(step), rel=1e-4)


def test_another_constant_rate_is_another_optimizer() -> None:
    pair = pair_of(plant=rates(constant, lambda number: 0.02))
    check_rates(pair)
    assert named(pair) == [("optimizer_differs", "custom_loop", 0)]


def test_an_update_is_replayed_with_the_other_rate() -> None:
    def schedule() -> keras.optimizers.Optimizer:
        return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5))

    right = Practice(optimizer=schedule)
    pair = pair_of(right, Practice(optimizer=lambda: keras.optimizers.SGD(0.1)))
    check_rates(pair)
    (cause,) = pair.findings.causes
    assert (cause.id, cause.side, cause.step) == ("learning_rate_schedule", "custom_loop", 1)
    change = cause.evidence[0]
    assert float(change.observed) == pytest.approx(float(change.replayed), rel=1e-3)
    assert float(change.correct) == pytest.approx(float(change.observed) / 2, rel=1e-3)
    assert "ExponentialDecay(initial_learning_rate=0.1, decay_steps=1, decay_rate=0.5)" in cause.fix
