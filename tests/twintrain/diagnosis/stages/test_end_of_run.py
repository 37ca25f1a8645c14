"""Early stopping, replayed."""

from __future__ import annotations

import keras
from hypothesis import given, settings
from hypothesis import strategies as st

from twintrain.diagnosis.replay.early_stopping import stop_epoch

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
