# -*- coding: utf-8 -*-
"""Churn score service: training entry point.

`--engine keras` and `--engine inhouse` are both supported until the migration
is finished; without the option both are run and compared on the hold-out.
"""
from __future__ import annotations

import argparse
import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf

log = logging.getLogger("churn")
CONFIG = {"batch_size": 32, "max_epochs": 40, "patience": 4, "lr": 5e-3, "seed": 2024}


def load(seed: int):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((480, 14)).astype("float32")
    logit = 1.6 * x[:, 0] - x[:, 1] * x[:, 2] + 0.8 * np.abs(x[:, 3]) - 0.6
    y = (rng.random(480) < 1 / (1 + np.exp(-logit))).astype("float32")[:, None]
    return (x[:200], y[:200]), (x[200:300], y[200:300]), (x[300:], y[300:])


def build_model() -> keras.Model:
    keras.utils.set_random_seed(CONFIG["seed"])
    return keras.Sequential([
        keras.Input((14,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(1),
    ])


# ----------------------------------------------------------------- in-house
class Hook:
    def on_train_begin(self, trainer): ...
    def on_epoch_end(self, trainer, epoch, logs): ...
    def on_train_end(self, trainer): ...


class LogHook(Hook):
    def on_epoch_end(self, trainer, epoch, logs):
        log.info("epoch %02d  %s", epoch, "  ".join(f"{k}={v:.4f}" for k, v in logs.items()))


class StopHook(Hook):
    """Stops when `monitor` has not improved for `patience` epochs and hands
    back the weights of the best epoch."""

    def __init__(self, monitor="val_loss", patience=3):
        self.monitor, self.patience = monitor, patience

    def on_train_begin(self, trainer):
        self.best, self.wait, self.best_epoch, self.kept = np.inf, 0, -1, None

    def on_epoch_end(self, trainer, epoch, logs):
        if logs[self.monitor] < self.best:
            self.best, self.best_epoch, self.wait = logs[self.monitor], epoch, 0
            self.kept = [w.value for w in trainer.model.weights]
            return
        self.wait += 1
        if self.wait >= self.patience:
            trainer.stop = True

    def on_train_end(self, trainer):
        for w, k in zip(trainer.model.weights, self.kept):
            w.assign(k)
        log.info("weights of epoch %d restored (%s=%.4f)", self.best_epoch, self.monitor, self.best)


class Trainer:
    def __init__(self, model, optimizer, loss, hooks):
        self.model, self.optimizer, self.loss, self.hooks = model, optimizer, loss, hooks
        self.stop = False

    @tf.function
    def _update(self, x, y):
        with tf.GradientTape() as tape:
            value = self.loss(y, self.model(x, training=True))
        tv = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(value, tv), tv))
        return value

    def _evaluate(self, data):
        x, y = data
        return float(self.loss(y, self.model(x, training=False)))

    def run(self, train, valid, batch_size, max_epochs):
        x, y = train
        rng = np.random.default_rng(CONFIG["seed"])
        for h in self.hooks:
            h.on_train_begin(self)
        for epoch in range(max_epochs):
            agg = keras.metrics.Mean()
            order = rng.permutation(len(x))
            for i in range(0, len(x), batch_size):
                j = order[i:i + batch_size]
                agg.update_state(self._update(x[j], y[j]), sample_weight=len(j))
            logs = {"loss": float(agg.result()), "val_loss": self._evaluate(valid)}
            for h in self.hooks:
                h.on_epoch_end(self, epoch, logs)
            if self.stop:
                break
        for h in self.hooks:
            h.on_train_end(self)


def run_keras(train, valid):
    model = build_model()
    model.compile(optimizer=keras.optimizers.Adam(CONFIG["lr"]),
                  loss=keras.losses.BinaryCrossentropy(from_logits=True))
    stop = keras.callbacks.EarlyStopping("val_loss", patience=CONFIG["patience"],
                                         restore_best_weights=True)
    model.fit(*train, batch_size=CONFIG["batch_size"], epochs=CONFIG["max_epochs"],
              validation_data=valid, callbacks=[stop], verbose=0)
    return model


def run_inhouse(train, valid):
    model = build_model()
    Trainer(model, keras.optimizers.Adam(CONFIG["lr"]),
            keras.losses.BinaryCrossentropy(from_logits=True),
            [LogHook(), StopHook("val_loss", CONFIG["patience"])],
            ).run(train, valid, CONFIG["batch_size"], CONFIG["max_epochs"])
    return model


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--engine", choices=["keras", "inhouse", "both"], default="both")
    args = ap.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    logging.getLogger("absl").setLevel(logging.ERROR)
    train, valid, hold = load(7)
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    for name, fn in (("keras", run_keras), ("inhouse", run_inhouse)):
        if args.engine in (name, "both"):
            m = fn(train, valid)
            print(name, "hold-out loss %.4f" % float(bce(hold[1], m(hold[0]))))
