"""A model with two inputs fed as a tuple; functional loss, reduce_retracing step."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (265, 731) if split == "train" else (88, 732)
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, 4)).astype("float32")
    b = rng.integers(0, 6, size=(n, 1)).astype("int32")
    y = (a[:, :1] * (b - 2.5) / 2.0).astype("float32")
    return tf.data.Dataset.from_tensor_slices(((a, b), y)).batch(32).prefetch(1)


def build_model():
    a = keras.Input((4,))
    b = keras.Input((1,), dtype="int32")
    e = layers.Flatten()(layers.Embedding(6, 5)(b))
    h = layers.Dense(20, activation="relu")(layers.Concatenate()([a, e]))
    return keras.Model([a, b], layers.Dense(1)(h))


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mean_absolute_error")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.02)

    @tf.function(reduce_retracing=True)
    def step(inputs, y):
        with tf.GradientTape() as tape:
            p = model(inputs, training=True)
            loss = tf.reduce_mean(keras.losses.mean_absolute_error(y, p))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(grads, model.trainable_variables)
        return loss

    out = []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for inputs, y in ds:
            total += float(step(inputs, y)) * len(y)
            rows += len(y)
        out.append(total / rows)
    return out
