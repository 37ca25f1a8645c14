"""Sample weights from the data: reduce_sum(w * squared error) / N in a jit_compile=True step."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (285, 421) if split == "train" else (110, 422)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    w = rng.uniform(0.2, 2.0, size=n).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"), w)).batch(30)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", jit_compile=True)
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=True)
    def step(x, y, w):
        with tf.GradientTape() as tape:
            squared = tf.square(model(x, training=True) - y)[:, 0]
            weighted = tf.reduce_sum(w * squared)
            loss = weighted / tf.cast(tf.shape(x)[0], tf.float32)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return weighted

    curve = []
    for _ in range(epochs):
        total, n = 0.0, 0
        for x, y, w in ds:
            total += float(step(x, y, w))
            n += len(w)
        curve.append(total / n)
    return curve
