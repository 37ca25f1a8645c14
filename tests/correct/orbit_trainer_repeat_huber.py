"""Orbit-like trainer over ds.repeat() with one endless iterator and counted steps; Huber loss."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (260, 221) if split == "train" else (110, 222)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.5 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01, beta_1=0.8, epsilon=1e-5), loss=keras.losses.Huber()
    )
    return model.fit(ds, epochs=epochs, verbose=0)


class StandardTrainer:
    def __init__(self, net, data, steps_per_loop):
        self._iterator = iter(data.repeat())
        self._steps = steps_per_loop
        self._net = net
        self._opt = keras.optimizers.Adam(0.01, beta_1=0.8, epsilon=1e-5)
        self._sum, self._rows = 0.0, 0

    def begin(self):
        self._sum, self._rows = 0.0, 0

    @tf.function
    def _update(self, x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.huber(y, self._net(x, training=True)))
        variables = self._net.trainable_variables
        self._opt.apply(tape.gradient(loss, variables), variables)
        return loss

    def step(self):
        x, y = next(self._iterator)
        self._sum += float(self._update(x, y)) * x.shape[0]
        self._rows += x.shape[0]

    def run(self):
        self.begin()
        for _ in range(self._steps):
            self.step()
        return self._sum / self._rows


def custom_loop(model, ds, epochs):
    trainer = StandardTrainer(model, ds, steps_per_loop=len(ds))
    return {"loss": [trainer.run() for _ in range(epochs)]}
