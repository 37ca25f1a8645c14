"""global_clipnorm inside the optimizer on both sides; Orbit-like class, multi-step fit (steps_per_execution)."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (300, 501) if split == "train" else (120, 502)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(4, 6))
    y = rng.integers(0, 4, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(24, activation="relu"),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01, global_clipnorm=0.2),
        loss="sparse_categorical_crossentropy",
        steps_per_execution=4,
    )
    return model.fit(ds, epochs=epochs, verbose=0)


class Loop:
    def __init__(self, net):
        self.net = net
        self.opt = keras.optimizers.Adam(0.01, global_clipnorm=0.2)

    @tf.function
    def update(self, x, y):
        with tf.GradientTape() as tape:
            p = self.net(x, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, p))
        self.opt.apply(
            tape.gradient(loss, self.net.trainable_variables), self.net.trainable_variables
        )
        return loss * tf.cast(tf.shape(x)[0], tf.float32)

    def epoch(self, ds):
        return sum(float(self.update(x, y)) for x, y in ds)


def custom_loop(model, ds, epochs):
    rows = sum(len(y) for _, y in ds)
    loop = Loop(model)
    return [loop.epoch(ds) / rows for _ in range(epochs)]
