from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

import keras
import tensorflow as tf


@dataclass
class TrainConfig:
    epochs: int = 6
    batch_size: int = 64
    lr: float = 2e-3
    amp: bool = True


class AmpTrainer:
    """Custom training loop with (optional) automatic mixed precision."""

    def __init__(self, model: keras.Model, cfg: TrainConfig):
        self.model = model
        self.cfg = cfg
        optimizer = keras.optimizers.Adam(cfg.lr)
        if cfg.amp:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self.optimizer = optimizer
        self.criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.metrics = {
            "loss": keras.metrics.Mean(),
            "accuracy": keras.metrics.SparseCategoricalAccuracy(),
        }
        self._step_fn = tf.function(self._train_step)
        self._eval_fn = tf.function(self._eval_step)

    def _train_step(self, x, y):
        with tf.GradientTape() as tape:
            logits = self.model(x, training=True)
            loss = self.criterion(y, logits)
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.model.trainable_variables))
        self._log(loss, y, logits)

    def _eval_step(self, x, y):
        logits = self.model(x, training=False)
        self._log(self.criterion(y, logits), y, logits)

    def _log(self, loss, y, logits):
        self.metrics["loss"].update_state(loss, sample_weight=tf.shape(y)[0])
        self.metrics["accuracy"].update_state(y, logits)

    def _pass(self, fn, ds):
        for m in self.metrics.values():
            m.reset_state()
        for x, y in ds:
            fn(x, y)
        return {k: round(float(m.result()), 4) for k, m in self.metrics.items()}

    def fit(self, train_ds, val_ds):
        print("config:", json.dumps(asdict(self.cfg)))
        for epoch in range(1, self.cfg.epochs + 1):
            t0 = time.perf_counter()
            tr = self._pass(self._step_fn, train_ds)
            va = self._pass(self._eval_fn, val_ds)
            print(f"epoch {epoch}: train {tr} val {va} [{time.perf_counter() - t0:.2f}s]")
