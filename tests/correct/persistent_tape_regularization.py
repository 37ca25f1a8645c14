"""A persistent tape: the gradient of the data loss plus the gradient of the L2 terms."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (327, 231) if split == "train" else (110, 232)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(
                16,
                activation="tanh",
                kernel_regularizer=keras.regularizers.L2(0.01),
                bias_regularizer=keras.regularizers.L2(0.01),
            ),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.03), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.03)
    variables = model.trainable_variables
    losses = []
    for _ in range(epochs):
        numerator, denominator = 0.0, 0
        for x, y in ds:
            with tf.GradientTape(persistent=True) as tape:
                data_loss = tf.reduce_mean((y - model(x, training=True)) ** 2)
                penalty = tf.add_n(model.losses)
            data_grads = tape.gradient(data_loss, variables)
            penalty_grads = tape.gradient(penalty, variables)
            del tape
            grads = [
                a if b is None else a + b for a, b in zip(data_grads, penalty_grads, strict=True)
            ]
            optimizer.apply(grads, variables)
            numerator += float(data_loss + penalty) * y.shape[0]
            denominator += y.shape[0]
        losses.append({"loss": numerator / denominator})
    return losses
