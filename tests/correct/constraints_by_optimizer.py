"""Kernel and bias constraints applied by the optimizer on both sides; tf.function step."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (280, 691) if split == "train" else (110, 692)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(
                16, activation="relu", kernel_constraint=keras.constraints.MaxNorm(0.8)
            ),
            keras.layers.Dense(1, kernel_constraint="non_neg"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(0.02)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
        opt.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        return loss

    history = []
    for _ in range(epochs):
        losses = np.array([[step(x, y).numpy(), len(x)] for x, y in ds])
        history.append({"loss": np.average(losses[:, 0], weights=losses[:, 1])})
    return history
