"""Cross-entropy written out as -log p of the true class (tf.gather with batch_dims)."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (265, 321) if split == "train" else (113, 322)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(4, 6))
    y = rng.integers(0, 4, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(24)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.05, momentum=0.5), loss="sparse_categorical_crossentropy"
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.05, momentum=0.5)

    def negative_log_likelihood(y, p):
        picked = tf.gather(p, y, axis=1, batch_dims=1)
        return -tf.math.log(tf.clip_by_value(picked, 1e-7, 1.0 - 1e-7))

    per_epoch = []
    for _ in range(epochs):
        rows = []
        for x, y in ds:
            with tf.GradientTape() as tape:
                nll = negative_log_likelihood(y, model(x, training=True))
                loss = tf.reduce_mean(nll)
            optimizer.apply(
                tape.gradient(loss, model.trainable_variables), model.trainable_variables
            )
            rows.extend(nll.numpy().tolist())
        per_epoch.append(sum(rows) / len(rows))
    return per_epoch
