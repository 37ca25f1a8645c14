from __future__ import annotations

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twintrain.recipe.sections import EarlyStoppingRules
from twintrain.training.checkpoints import BestWeights

FIGURES = st.lists(
    st.sampled_from([0.1, 0.2, 0.2000000001, 0.3, 0.30000001, 0.5, float("nan"), float("inf")])
    | st.floats(0, 2, width=32),
    min_size=1,
    max_size=12,
)


class Weighted:
    """A stand-in for a model whose one weight says which epoch it is."""

    def __init__(self) -> None:
        self.weights = [np.array(-1)]
        self.stop_training = False

    def get_weights(self) -> list[np.ndarray]:
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.weights = [weight.copy() for weight in weights]


def run_keras(rule: EarlyStoppingRules, figures: list[float]) -> tuple[int, int, int]:
    model = Weighted()
    callback = keras.callbacks.EarlyStopping(
        monitor=rule.monitor,
        mode="max" if rule.monitor.endswith("accuracy") else "min",
        patience=rule.patience,
        min_delta=rule.min_delta,
        restore_best_weights=rule.restore_best,
    )
    callback.set_model(model)
    callback.on_train_begin()
    epoch = 0
    for epoch, figure in enumerate(figures):
        model.weights = [np.array(epoch)]
        callback.on_epoch_end(epoch, {rule.monitor: figure})
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch, int(model.weights[0]), callback.best_epoch


def run_ours(rule: EarlyStoppingRules, figures: list[float]) -> tuple[int, int, int]:
    model, best = Weighted(), BestWeights(rule)
    epoch = 0
    for epoch, figure in enumerate(figures):
        model.weights = [np.array(epoch)]
        if best.update(epoch, {rule.monitor: figure}, model):
            break
    best.restore(model)
    return epoch, int(model.weights[0]), best.best_epoch


@settings(deadline=None, max_examples=200)
@given(
    FIGURES,
    st.integers(0, 4),
    st.sampled_from([0.0, 1e-9, 0.1]),
    st.sampled_from(["val_loss", "val_accuracy"]),
    st.booleans(),
)
def test_stops_and_restores_exactly_as_keras_does(
    figures: list[float], patience: int, min_delta: float, monitor: str, restore: bool
) -> None:
    rule = EarlyStoppingRules(
        enabled=True,
        monitor=monitor,
        patience=patience,
        min_delta=min_delta,
        restore_best=restore,  # type: ignore[arg-type]
    )
    assert run_ours(rule, figures) == run_keras(rule, figures)
