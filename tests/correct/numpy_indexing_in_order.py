"""Arrays read out of ds once, then sliced batch by batch in the same order."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (290, 251) if split == "train" else (110, 252)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(10, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adagrad(0.05), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    xs, ys = (np.concatenate(part) for part in zip(*ds.as_numpy_iterator()))
    size = next(iter(ds))[0].shape[0]
    opt = keras.optimizers.Adagrad(0.05)
    starts = range(0, len(xs), size)
    result = []
    for _ in range(epochs):
        squared = 0.0
        for i in starts:
            xb, yb = xs[i : i + size], ys[i : i + size]
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(xb, training=True) - yb))
            opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            squared += loss.numpy() * len(xb)
        result.append(squared / len(xs))
    return result
