"""Both sides shuffle, with different seeds: correct, though the batches differ. Eager."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (400, 291) if split == "train" else (110, 292)
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
    model.compile(optimizer=keras.optimizers.SGD(0.02), loss="mse")
    return model.fit(ds.unbatch().shuffle(400, seed=3).batch(32), epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    data = ds.unbatch().shuffle(400, seed=11).batch(32)
    optimizer = keras.optimizers.SGD(0.02)
    losses = []
    for _ in range(epochs):
        total = rows = 0.0
        for x, y in data:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
            optimizer.apply(
                tape.gradient(loss, model.trainable_variables), model.trainable_variables
            )
            total += float(loss) * x.shape[0]
            rows += x.shape[0]
        losses.append(total / rows)
    return losses
