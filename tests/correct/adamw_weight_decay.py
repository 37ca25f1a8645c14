"""AdamW with decoupled weight decay on both sides; jit_compile=True step."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (315, 621) if split == "train" else (110, 622)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(24, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.AdamW(0.01, weight_decay=0.05), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.05)
    optimizer.build(model.trainable_variables)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.mean_squared_error(y, model(x, training=True)))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    compiled = tf.function(step, jit_compile=True)
    history = []
    for _ in range(epochs):
        sums = [0.0, 0]
        for x, y in ds:
            sums[0] += float(compiled(x, y)) * x.shape[0]
            sums[1] += x.shape[0]
        history.append(sums[0] / sums[1])
    return history
