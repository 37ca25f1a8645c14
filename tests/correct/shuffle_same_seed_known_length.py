"""Both sides shuffle with seed=3, known cardinality: fit opens one more iterator, so the batches differ."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(311 if split == "train" else 312)
    n = 350 if split == "train" else 90
    x = rng.normal(size=(n, 5)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] ** 2 + 0.3 * rng.normal(size=(n, 1)) > 0.8).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(12, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def shuffle(ds):
    data = ds.unbatch().shuffle(350, seed=3).batch(32)
    return data.apply(tf.data.experimental.assert_cardinality(ds.cardinality()))


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.004), loss="binary_crossentropy")
    return model.fit(shuffle(ds), epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.004)
    optimizer.build(model.trainable_variables)
    bce = keras.losses.BinaryCrossentropy()
    data = shuffle(ds)

    @tf.function
    def epoch():
        total, rows = 0.0, 0.0
        for x, y in data:
            with tf.GradientTape() as tape:
                loss = bce(y, model(x, training=True))
            grads = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(grads, model.trainable_variables))
            n = tf.cast(tf.shape(y)[0], tf.float32)
            total += n * loss
            rows += n
        return total / rows

    return {"loss": [epoch().numpy() for _ in range(epochs)]}
