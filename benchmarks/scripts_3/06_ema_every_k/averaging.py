#!/usr/bin/env python3
"""Polyak averaging with periodic write-back: keras `use_ema` against a helper class."""
import logging
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s")
log = logging.getLogger("ema")


@dataclass
class Config:
    rows: int = 1280
    batch: int = 32
    epochs: int = 6
    lr: float = 4e-3
    momentum: float = 0.9
    every: int = 30           # write the average into the weights every 30 steps
    seed: int = 40


def friedman(n, seed):
    g = np.random.default_rng(seed)
    x = g.uniform(size=(n, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    y = y + g.normal(0, 1, n)
    return x.astype("float32"), ((y - 14.4) / 4.9).astype("float32")[:, None]


def mlp(cfg):
    keras.utils.set_random_seed(cfg.seed)
    return keras.Sequential([
        keras.Input((10,)),
        keras.layers.Dense(32, activation="tanh"),
        keras.layers.Dense(32, activation="tanh"),
        keras.layers.Dense(1),
    ])


class Ema:
    """shadow = m * shadow + (1 - m) * weight"""

    def __init__(self, variables, momentum):
        self.variables = list(variables)
        self.shadow = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.variables]
        self.momentum = momentum
        self.started = False

    def update(self):
        # like Keras: the first average is the weight itself
        m = self.momentum if self.started else 0.0
        for s, v in zip(self.shadow, self.variables):
            s.assign(m * s + (1.0 - m) * v)
        self.started = True

    def write_back(self):
        for s, v in zip(self.shadow, self.variables):
            v.assign(s)


def run_fit(cfg, ds):
    model = mlp(cfg)
    opt = keras.optimizers.Adam(
        cfg.lr, use_ema=True, ema_momentum=cfg.momentum, ema_overwrite_frequency=cfg.every
    )
    model.compile(opt, loss=keras.losses.Huber())
    h = model.fit(ds, epochs=cfg.epochs, verbose=0)
    return model, h.history["loss"]


def run_loop(cfg, ds):
    model = mlp(cfg)
    opt = keras.optimizers.Adam(cfg.lr)
    loss_fn = keras.losses.Huber()
    ema = Ema(model.trainable_variables, cfg.momentum)
    mean = keras.metrics.Mean()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    out = []
    for epoch in range(cfg.epochs):
        mean.reset_state()
        for i, (x, y) in enumerate(ds, start=1):
            mean.update_state(step(x, y))
            ema.update()
            if i % cfg.every == 0:
                ema.write_back()
                log.debug("epoch %d step %d: averaged weights written", epoch, i)
        out.append(float(mean.result()))
    ema.write_back()      # final weights = averaged ones, as fit does at the end of training
    return model, out


def main():
    cfg = Config()
    x, y = friedman(cfg.rows, 1)
    xt, yt = friedman(2000, 2)
    # i.i.d. rows, same order for both
    ds = tf.data.Dataset.from_tensor_slices((x, y)).batch(cfg.batch)
    log.info("%d steps per epoch", len(ds))
    fit_model, a = run_fit(cfg, ds)
    loop_model, b = run_loop(cfg, ds)
    for e, (p, q) in enumerate(zip(a, b), 1):
        log.info("epoch %d  fit %.5f  loop %.5f", e, p, q)
    for name, m in ("fit", fit_model), ("loop", loop_model):
        rmse = float(np.sqrt(np.mean((m.predict(xt, verbose=0) - yt) ** 2)))
        log.info("%-4s test rmse %.4f", name, rmse)


if __name__ == "__main__":
    main()
