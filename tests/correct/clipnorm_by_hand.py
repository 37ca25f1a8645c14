"""clipnorm in fit's optimizer against tf.clip_by_norm per gradient in the loop."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (245, 461) if split == "train" else (110, 462)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.1, clipnorm=0.3), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.SGD(0.1)
    mse = keras.losses.MeanSquaredError()
    losses = []
    for _ in range(epochs):
        total = 0.0
        rows = 0
        for x, y in ds:
            with tf.GradientTape() as tape:
                loss = mse(y, model(x, training=True))
            grads = [
                tf.clip_by_norm(g, 0.3) for g in tape.gradient(loss, model.trainable_variables)
            ]
            opt.apply_gradients(zip(grads, model.trainable_variables, strict=True))
            total += loss.numpy() * x.shape[0]
            rows += x.shape[0]
        losses.append(total / rows)
    return losses
