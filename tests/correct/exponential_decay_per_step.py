"""ExponentialDecay schedule in fit against setting the rate before every step by formula."""

import math

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (287, 531) if split == "train" else (110, 532)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(20)


def build_model():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(12, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.08, 10, 0.7)),
        loss="mse",
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    sgd = keras.optimizers.SGD(0.08)
    step_number = 0
    losses = []
    for _ in range(epochs):
        squared, rows = 0.0, 0
        for x, y in ds:
            sgd.learning_rate.assign(0.08 * math.pow(0.7, step_number / 10))
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
            sgd.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            step_number += 1
            squared += float(loss) * len(x)
            rows += len(x)
        losses.append(squared / rows)
    return losses
