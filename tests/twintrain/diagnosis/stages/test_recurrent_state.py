"""Recurrent state that one side carries over where the other starts anew."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import named
from twintrain.diagnosis.stages.pair import Pair, read_side
from twintrain.diagnosis.stages.recurrent_state import check_states
from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.frozen_rows import Rows, keys_of
from twintrain.diagnosis.watch.trace import FIT, LOOP, Trace, snapshot
from twintrain.diagnosis.watch.user_module import Subject
from twintrain.diagnosis.watch.watcher import Watch

ROWS, STEPS = 4, 3


@dataclass(frozen=True)
class Habit:
    """Where a side starts anew, and whether its layer carries anything over at all."""

    epoch: bool = True
    batch: bool = False
    evaluation: bool = False
    stateful: bool = True
    weight: float = 1.0


def data() -> Rows:
    x = np.random.default_rng(0).normal(size=(ROWS * STEPS, 5, 1)).astype("float32")
    return Rows((x, x[:, 0]), ROWS, True, keys_of(x))


def trained(side: str, habit: Habit) -> Trace:
    """Two epochs, watched, each with an evaluation at its end."""
    keras.utils.set_random_seed(3)
    series = keras.Input(batch_shape=(ROWS, 5, 1))
    memory = keras.layers.GRU(2, stateful=habit.stateful)
    head = keras.layers.Dense(1)
    model = keras.Model(series, head(memory(series)))
    head.kernel.assign(head.kernel * habit.weight)
    optimizer = keras.optimizers.SGD(0.1)
    trace = Trace(side, snapshot(model), 2, complete=True)
    with Watch(trace, 12, 100, Timer(60), model).on():
        for _ in range(2):
            if habit.epoch and habit.stateful:
                memory.reset_state()
            for x, y in data().dataset():
                if habit.batch:
                    memory.reset_state()
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
                variables = model.trainable_variables
                optimizer.apply(tape.gradient(loss, variables), variables)
            if habit.evaluation:
                memory.reset_state()
            model(data().element[0][:ROWS], training=False)
    return trace


def pair_of(fit: Habit, loop: Habit) -> Pair:
    subject = Subject({}, {}, data(), None)
    sides = [
        read_side(trained(name, habit), STEPS, subject)
        for name, habit in ((FIT, fit), (LOOP, loop))
    ]
    return Pair(sides[0], sides[1], subject)


RESETS, CARRIES = Habit(), Habit(epoch=False)


@pytest.mark.parametrize("habit", [RESETS, CARRIES, Habit(stateful=False)])
def test_sides_that_do_alike_name_nothing(habit: Habit) -> None:
    pair = pair_of(habit, habit)
    assert check_states(pair)
    assert not pair.findings.causes
    assert pair.findings.ruled_out == {"recurrent_state_not_reset"}


@pytest.mark.parametrize(
    ("fit", "loop", "side", "step"),
    [
        (CARRIES, RESETS, FIT, STEPS),
        (RESETS, CARRIES, LOOP, STEPS),
        (RESETS, Habit(batch=True), FIT, 1),
        (Habit(stateful=False), RESETS, LOOP, 1),
    ],
)
def test_the_side_that_carries_over_is_named(fit: Habit, loop: Habit, side: str, step: int) -> None:
    pair = pair_of(fit, loop)
    check_states(pair)
    assert named(pair) == [("recurrent_state_not_reset", side, step)]
    peaks, carried = pair.findings.causes[0].evidence
    assert peaks.kind == "replay"
    assert peaks.observed == peaks.replayed != peaks.correct
    assert float(carried.observed) > 0 == float(carried.expected)


def test_a_state_carried_into_evaluation_is_named_there() -> None:
    pair = pair_of(RESETS, Habit(evaluation=True))
    check_states(pair)
    assert named(pair) == [("recurrent_state_not_reset", FIT, STEPS - 1)]
    assert pair.findings.causes[0].first_visible == "evaluation"


def test_a_state_that_makes_no_difference_is_not_named() -> None:
    pair = pair_of(Habit(epoch=False, weight=0.0), Habit(weight=0.0))
    step = pair.fit.close[STEPS]
    for position, variable in enumerate(step.model.variables):
        if "dense/kernel" in variable.path:
            step.before[position] = np.zeros_like(step.before[position])
    step.outputs = step.calls[0].outputs = tf.fill((ROWS, 1), float(step.before[-1][0]))
    pair.fit.close = pair.fit.close[: STEPS + 1]
    check_states(pair)
    assert not pair.findings.causes
