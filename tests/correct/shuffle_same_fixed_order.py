"""Both sides shuffle by ds.unbatch().shuffle(n, seed=3, reshuffle_each_iteration=False).batch(b)."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (310, 281) if split == "train" else (110, 282)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def shuffled(ds):
    data = ds.unbatch().shuffle(310, seed=3, reshuffle_each_iteration=False).batch(32)
    return data.apply(tf.data.experimental.assert_cardinality(len(ds)))


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    return model.fit(shuffled(ds), epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01)
    mse = keras.losses.MeanSquaredError()
    mean = keras.metrics.Mean()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mse(y, model(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        mean.update_state(loss, sample_weight=tf.shape(x)[0])

    data = shuffled(ds)
    history = []
    for _ in range(epochs):
        mean.reset_state()
        for x, y in data:
            step(x, y)
        history.append({"loss": float(mean.result())})
    return history
