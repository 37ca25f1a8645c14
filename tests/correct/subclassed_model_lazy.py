"""A subclassed model built on its first call, with dropout and an L2 layer; tf.function step."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (275, 711) if split == "train" else (120, 712)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(4, 7))
    y = rng.integers(0, 4, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 7))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(24, activation="relu", kernel_regularizer="l2")
        self.drop = layers.Dropout(0.2)
        self.last = layers.Dense(4)

    def call(self, x, training=False):
        return self.last(self.drop(self.first(x), training=training))


def build_model():
    return Net()


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    first_batch, _ = next(iter(ds))
    model(first_batch)
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True)) + sum(model.losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    log = {"loss": []}
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x, y in ds:
            total += float(step(x, y)) * len(x)
            rows += len(x)
        log["loss"].append(total / rows)
    return model, log
