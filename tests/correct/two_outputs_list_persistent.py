"""Two outputs as a list, one loss object each, gradients of both tasks from a persistent tape added up."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    rng = np.random.default_rng(451 if split == "train" else 452)
    n = 240 if split == "train" else 77
    x = rng.normal(size=(n, 5)).astype("float32")
    first = (x[:, :1] * x[:, 1:2]).astype("float32")
    second = (x[:, 2:3] > x[:, 3:4]).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, (first, second))).batch(25)


def build_model():
    inputs = keras.Input((5,))
    trunk = layers.Dense(16, activation="relu")(inputs)
    left = layers.Dense(1, name="left")(layers.Dense(8, activation="relu")(trunk))
    right = layers.Dense(1, activation="sigmoid", name="right")(trunk)
    return keras.Model(inputs, [left, right])


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
        loss=["mae", "binary_crossentropy"],
        loss_weights=[1.0, 0.25],
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def add(a, b):
    if a is None or b is None:
        return b if a is None else a
    return a + b


def custom_loop(model, ds, epochs):
    mae, bce = keras.losses.MeanAbsoluteError(), keras.losses.BinaryCrossentropy()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    variables = model.trainable_variables
    history = []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x, (y_left, y_right) in ds:
            with tf.GradientTape(persistent=True) as tape:
                p_left, p_right = model(x, training=True)
                left = mae(y_left, p_left)
                right = 0.25 * bce(y_right, p_right)
            g_left = tape.gradient(left, variables)
            g_right = tape.gradient(right, variables)
            del tape
            optimizer.apply([add(a, b) for a, b in zip(g_left, g_right, strict=True)], variables)
            total += float(left + right) * len(x)
            rows += len(x)
        history.append({"loss": total / rows})
    return history
