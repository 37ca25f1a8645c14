"""A whole epoch in one tf.function, `for x, y in ds`, sums kept as tensors."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (333, 131) if split == "train" else (110, 132)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(40)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(24, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mean_squared_error")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function
    def run_epoch(dataset):
        total = tf.constant(0.0)
        rows = tf.constant(0)
        for x, y in dataset:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.math.squared_difference(y, model(x, training=True)))
            grads = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(grads, model.trainable_variables))
            batch = tf.shape(x)[0]
            total += loss * tf.cast(batch, tf.float32)
            rows += batch
        return total / tf.cast(rows, tf.float32)

    return {"loss": [float(run_epoch(ds)) for _ in range(epochs)]}
