"""Callbacks written as code of a loop do what Keras's do."""

from __future__ import annotations

import textwrap
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintrain.diagnosis.scripts.made_callbacks import WrittenCallbacks, written


class OwnError(keras.metrics.MeanSquaredError):
    """A metric of one's own."""


class OwnStop(keras.callbacks.EarlyStopping):
    """Does something of its own."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Whatever it does."""


def model() -> keras.Model:
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse", metrics=[OwnError(name="own"), keras.metrics.AUC(name="auc")])
    made.evaluate(np.zeros((2, 2)), np.zeros((2, 1)), verbose=0)
    return made


def run(lines: WrittenCallbacks, name: str, series: list[float], rate: float) -> tuple[Any, ...]:
    """Rates after each epoch, epochs, and the epoch whose weights are kept, by the code."""
    body = [
        f'history["{name}"].append(series[epoch])',
        "weights.append(epoch)",
        *lines.before_an_epoch(),
        "epochs.append(epoch)",
        *lines.after_an_epoch(),
        "rates.append(optimizer.learning_rate)",
    ]
    code = "\n".join(
        [
            *lines.before_the_epochs(),
            "for epoch in range(len(series)):",
            textwrap.indent("\n".join(body), "    "),
            *lines.after_the_epochs(),
        ]
    )
    scope: dict[str, Any] = {"series": series, "history": {name: []}, "rates": []}
    scope |= {"weights": [], "epochs": [], "optimizer": SimpleNamespace(learning_rate=rate)}
    scope["model"] = SimpleNamespace(
        get_weights=lambda: scope["weights"][-1:], set_weights=lambda kept: scope.update(kept=kept)
    )
    exec(code, scope)
    return scope["rates"], len(scope["epochs"]), scope.get("kept")


SERIES = st.lists(st.sampled_from([0.1, 0.15, 0.2, 0.25, 0.5, 1.0]), min_size=1, max_size=25)


@given(
    SERIES,
    st.sampled_from(["min", "max"]),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.06]),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.02]),
)
def test_the_rate_falls_as_on_a_plateau_of_keras(
    series: list[float], mode: str, patience: int, delta: float, cooldown: int, least: float
) -> None:
    given_ = keras.callbacks.ReduceLROnPlateau(
        "val_own", 0.5, patience, mode=mode, min_delta=delta, cooldown=cooldown, min_lr=least
    )
    training = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.125))
    given_.set_model(training)
    given_.on_train_begin()
    wanted = []
    for epoch, value in enumerate(series):
        given_.on_epoch_end(epoch, {"val_own": value})
        wanted.append(training.optimizer.learning_rate)
    found = run(WrittenCallbacks(plateau=given_), "val_own", series, 0.125)
    assert found[0] == wanted


@given(
    SERIES,
    st.sampled_from(["min", "max"]),
    st.integers(0, 4),
    st.sampled_from([0.0, 0.06]),
    st.integers(0, 4),
)
def test_it_stops_where_keras_stops(
    series: list[float], mode: str, patience: int, delta: float, start: int
) -> None:
    given_ = keras.callbacks.EarlyStopping(
        "val_own", delta, patience, mode=mode, start_from_epoch=start
    )
    training = SimpleNamespace(stop_training=False)
    given_.set_model(training)
    given_.on_train_begin()
    epochs = 0
    for epoch, value in enumerate(series):
        given_.on_epoch_end(epoch, {"val_own": value})
        epochs += 1
        if training.stop_training:
            break
    assert run(WrittenCallbacks(early=given_), "val_own", series, 0.1)[1] == epochs


def test_the_best_weights_are_put_back() -> None:
    early = keras.callbacks.EarlyStopping("val_auc", patience=2, restore_best_weights=True)
    found = run(WrittenCallbacks(early=early), "val_auc", [0.5, 0.9, 0.8, 0.7, 0.95], 0.1)
    assert found[1:] == (4, [1])


def test_a_metric_that_is_gone_by_is_measured() -> None:
    by_own = keras.callbacks.ReduceLROnPlateau("val_own", mode="min")
    by_auc = keras.callbacks.EarlyStopping("val_auc", mode="max")
    found = written([by_own, by_auc], model(), validates=True)
    assert found.metrics == {"val_own": "own_of_fit", "val_auc": "keras.metrics.AUC()"}
    assert type(found.values["own_of_fit"]()) is OwnError
    assert (found.plateau, found.early, found.left_out) == (by_own, by_auc, [])


def test_more_is_better_where_the_metric_says_so() -> None:
    """As Keras decides it, whatever the name is."""
    early = keras.callbacks.EarlyStopping("val_precision")
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
    made.compile("sgd", "binary_crossentropy", metrics=[keras.metrics.Precision(name="precision")])
    rows = np.random.default_rng(0).normal(size=(8, 2))
    ends = (rows, rows[:, :1] > 0)
    made.fit(*ends, validation_data=ends, callbacks=[early], verbose=0)
    assert run(WrittenCallbacks(early=early), "val_precision", [0.1, 0.2, 0.3], 0.1)[1] == 3
    assert 'float("-inf")' in WrittenCallbacks(early=early).before_the_epochs()[0]


@pytest.mark.parametrize(
    ("callback", "validates", "told"),
    [
        (keras.callbacks.EarlyStopping("val_own"), False, "EarlyStopping on val_own"),
        (keras.callbacks.EarlyStopping("val_other"), True, "EarlyStopping on val_other"),
        (keras.callbacks.EarlyStopping("auc"), True, "EarlyStopping on auc"),
        (OwnStop("val_loss"), True, "OwnStop"),
        (keras.callbacks.ModelCheckpoint("best.keras"), True, "ModelCheckpoint"),
        (keras.callbacks.LambdaCallback(), True, "LambdaCallback"),
    ],
    ids=["no validation", "no such metric", "of training", "own class", "a file", "anything"],
)
def test_what_no_code_is_written_for_is_told(callback: Any, validates: bool, told: str) -> None:
    found = written(callback, model(), validates)
    assert found.left_out == [told]
    assert (found.early, found.plateau, found.metrics) == (None, None, {})
