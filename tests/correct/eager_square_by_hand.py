"""Eager loop with the squared error written out, RMSprop, and the model handed back."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (310, 101) if split == "train" else (110, 102)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(20)


def build_model():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.RMSprop(0.005, momentum=0.5), loss="mse", metrics=["mae"]
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.RMSprop(0.005, momentum=0.5)
    log = []
    for _ in range(epochs):
        squares, absolutes, n = 0.0, 0.0, 0
        for x, target in ds:
            with tf.GradientTape() as tape:
                error = model(x, training=True) - target
                loss = tf.reduce_mean(tf.square(error))
            opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            squares += float(tf.reduce_sum(tf.square(error)))
            absolutes += float(tf.reduce_sum(tf.abs(error)))
            n += int(tf.size(target))
        log.append({"loss": squares / n, "mae": absolutes / n})
    return model, log
