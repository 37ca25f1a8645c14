"""Early stopping, replayed."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twintrain.diagnosis.traces import data, small_model
from twintrain.diagnosis.replay.common_losses import common_losses
from twintrain.diagnosis.replay.early_stopping import (
    AGAINST_THE_LAST,
    EPOCHS,
    Ending,
    read_ending,
    rule_of,
    stop_epoch,
    stopped_by,
)
from twintrain.diagnosis.replay.model_calls import weights_of
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import snapshot

figures = st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(figures, st.integers(0, 4), st.sampled_from([0.0, 0.1, 0.2]), st.booleans())
def test_it_stops_where_keras_stops(
    values: list[float], patience: int, min_delta: float, maximise: bool
) -> None:
    rule = keras.callbacks.EarlyStopping(
        monitor="figure", patience=patience, min_delta=min_delta, mode="max" if maximise else "min"
    )
    rule.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    rule.model.stop_training = False
    rule.on_train_begin()
    stopped = None
    for epoch, value in enumerate(values):
        rule.on_epoch_end(epoch, {"figure": value})
        if rule.model.stop_training:
            stopped = epoch + 1
            break
    assert stop_epoch(values, patience, min_delta, maximise) == stopped


@pytest.mark.parametrize(
    ("asked", "stopped"),
    [({}, 4), ({"start_from_epoch": 3}, 6), ({"baseline": 0.1}, 3), ({"monitor": "val_auc"}, 5)],
    ids=["alone", "warm-up", "baseline", "the more the better"],
)
def test_a_callbacks_own_rule_is_replayed(asked: dict[str, Any], stopped: int) -> None:
    callback = keras.callbacks.EarlyStopping(**{"patience": 2} | asked)
    assert stopped_by(callback, [0.8, 0.5, 0.9, 0.6, 0.7, 0.8, 0.9, 0.9]) == stopped
    assert stopped_by(callback, [0.8]) is None


def test_a_rule_is_found_from_where_it_stopped() -> None:
    losses = [1.0, 0.8, 0.9, 0.95, 0.97]
    assert rule_of(Ending(5, 2, lambda: {"val_loss": losses})) == (
        "monitor val_loss, mode min, patience 3, min_delta 0"
    )
    assert rule_of(Ending(EPOCHS, 2, dict)) == "no early stopping"
    assert rule_of(Ending(5, 2, dict)) is None


def test_a_count_that_loops_get_wrong_is_told() -> None:
    total = [1.0, 1.1, 0.9, 0.95, 0.8, 0.85, 0.7]
    asked = keras.callbacks.EarlyStopping(patience=3)
    assert rule_of(Ending(6, 5, lambda: {"val_loss": total}), asked) == (
        "monitor val_loss, mode min, patience 3, min_delta 0, counting all of them, not those in a "
        "row"
    )
    other = keras.callbacks.EarlyStopping(patience=2)  # what it could explain by chance
    assert "counting" not in str(rule_of(Ending(6, 5, lambda: {"val_loss": total}), other))
    # Each is better than the one before it, and none than the best.
    since = [1.0, 0.5, 0.8, 0.7, 0.6, 0.55, 0.9, 0.95]
    assert stop_epoch(since, 2, 0.0, False, AGAINST_THE_LAST) == 8
    assert stop_epoch(since, 2, 0.0, False) == 4


def test_figures_on_rows_of_its_own_explain_a_stop_too() -> None:
    ending = Ending(5, 2, dict, judged_on_own=lambda: {"val_loss": [1.0, 0.8, 0.9, 0.95, 0.97]})
    assert rule_of(ending) == "monitor val_loss, mode min, patience 3, min_delta 0"


def test_an_ending_is_read_from_the_states_of_a_training() -> None:
    model = small_model()
    states = [[value + 0.1 * epoch for value in snapshot(model)] for epoch in range(4)]
    run = Milestones(model)
    run.states, run.kept = states, states[2]
    found = read_ending(run, data(12, 1), next(common_losses()))
    assert found is not None
    assert (found.epochs, found.kept, found.keeps_last) == (3, 2, False)
    assert {name: len(values) for name, values in found.series.items()} == {
        "val_loss": 3,
        "val_accuracy": 3,
    }
    with weights_of(model, states[3]):
        x, y = data(12, 1).element
        loss = keras.losses.SparseCategoricalCrossentropy()(y, model(x))
    assert found.series["val_loss"][-1] == pytest.approx(float(loss), rel=1e-5)


def test_one_epoch_cannot_be_read() -> None:
    run = Milestones(small_model())
    run.states = run.states * 2
    assert read_ending(run, None, None) is None
