"""The states of a training, noted at each pass over data."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tests.twintrain.diagnosis.traces import data, small_model
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import snapshot

DATA = data(12, 1)


def train(model: keras.Model, epochs: int) -> list[np.ndarray]:
    """Move the first kernel by one in each epoch; what it was after each."""
    found = []
    for _ in range(epochs):
        for x, _y in DATA.dataset():
            model(x)
        model.variables[0].assign_add(tf.ones((5, 4)))
        found.append(snapshot(model)[0])
    return found


def test_every_epoch_leaves_a_state_and_restoring_leaves_none() -> None:
    model = small_model()
    run = Milestones(model)
    with run.on():
        start = snapshot(model)[0]
        seen = train(model, 3)
        model.variables[0].assign(seen[0])  # back to the best
    run.end(None)
    # Restored before anything else was seen, the last epoch's own state is lost.
    assert run.epochs == 2
    for state, kernel in zip(run.states, [start, *seen[:2]], strict=True):
        assert np.array_equal(state[0], kernel)
    assert np.array_equal(run.kept[0], seen[0])


def test_a_last_state_is_noted_at_the_end() -> None:
    model = small_model()
    run = Milestones(model)
    with run.on():
        train(model, 3)
    run.end(None)
    assert run.epochs == 3
    assert np.array_equal(run.kept[0], run.states[-1][0])


def test_the_model_that_moves_is_followed() -> None:
    given, other = small_model(), small_model(seed=2)
    run = Milestones(given)
    with run.on():
        train(other, 2)
    run.end(other)
    assert run.model is other
    assert run.epochs == 2


def test_the_seams_are_put_back() -> None:
    before = keras.layers.Layer.__dict__["__call__"]
    with Milestones(small_model()).on():
        assert keras.layers.Layer.__dict__["__call__"] is not before
    assert keras.layers.Layer.__dict__["__call__"] is before


def test_epochs_that_somebody_saw_end_are_states_without_a_pass_over_data() -> None:
    model = small_model()
    run = Milestones(model)
    with run.on():
        for _ in range(2):
            model.variables[0].assign_add(tf.ones((5, 4)))
            run.end_epoch()
        run.end_epoch(last=True)
        # An average that is written back, and what it gives, is no epoch.
        model.variables[0].assign(tf.zeros((5, 4)))
        next(iter(DATA.dataset()))
    run.end(None)
    assert run.epochs == 2
    assert not run.kept[0].any()
    assert run.states[-1][0].any()
