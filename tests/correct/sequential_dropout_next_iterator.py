"""A while-loop with next(iterator) and StopIteration, gaussian noise and dropout; poisson loss."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(771 if split == "train" else 772)
    n = 215 if split == "train" else 70
    x = rng.normal(size=(n, 5)).astype("float32")
    y = rng.poisson(np.exp(0.5 * x[:, :1] - 0.3 * x[:, 1:2])).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.GaussianNoise(0.1),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1, activation="softplus"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="poisson")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    poisson = keras.losses.Poisson()
    optimizer = keras.optimizers.Adam(0.01)
    losses = []
    for _ in range(epochs):
        iterator = iter(ds)
        total, rows = 0.0, 0
        while True:
            try:
                x, y = next(iterator)
            except StopIteration:
                break
            with tf.GradientTape() as tape:
                loss = poisson(y, model(x, training=True))
            optimizer.apply(
                tape.gradient(loss, model.trainable_variables), model.trainable_variables
            )
            total += float(loss) * int(x.shape[0])
            rows += int(x.shape[0])
        losses.append(total / rows)
    return losses
