"""ReduceLROnPlateau on the training loss against the same rule by hand."""

import math

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (220, 541) if split == "train" else (110, 542)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.5 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


FACTOR, MIN_DELTA = 0.5, 0.02


def keras_fit(model, ds, epochs):
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", factor=FACTOR, patience=1, min_delta=MIN_DELTA
    )
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    return model.fit(ds, epochs=epochs, callbacks=[plateau], verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.05)
    loss_fn = keras.losses.MeanSquaredError()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    best = math.inf
    log = []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x, y in ds:
            total += float(step(x, y)) * len(x)
            rows += len(x)
        loss = total / rows
        log.append({"loss": loss, "learning_rate": float(optimizer.learning_rate)})
        if loss < best - MIN_DELTA:
            best = loss
        else:
            optimizer.learning_rate.assign(optimizer.learning_rate * FACTOR)
    return log
