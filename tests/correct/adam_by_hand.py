"""No optimizer in the loop: Adam's moments and bias correction written with numpy against keras Adam."""

import math

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (247, 681) if split == "train" else (110, 682)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(30)


def build_model():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    lr, b1, b2, eps = 0.01, 0.9, 0.999, 1e-7
    m = [np.zeros(v.shape, "float32") for v in model.trainable_variables]
    s = [np.zeros(v.shape, "float32") for v in model.trainable_variables]
    t = 0
    for _ in range(epochs):
        for x, y in ds:
            t += 1
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
            grads = tape.gradient(loss, model.trainable_variables)
            alpha = lr * math.sqrt(1 - b2**t) / (1 - b1**t)
            for i, (w, g) in enumerate(zip(model.trainable_variables, grads, strict=True)):
                g = g.numpy()
                m[i] += (g - m[i]) * (1 - b1)
                s[i] += (g * g - s[i]) * (1 - b2)
                w.assign(w.numpy() - alpha * m[i] / (np.sqrt(s[i]) + eps))
