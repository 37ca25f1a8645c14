"""fit on arrays with shuffle=False against a tf.function loop over ds."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(261 if split == "train" else 262)
    n = 230 if split == "train" else 90
    x = rng.normal(size=(n, 4)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] ** 2 + 0.3 * rng.normal(size=(n, 1)) > 0.8).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


def build_model():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(14, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def keras_fit(model, ds, epochs):
    x = np.concatenate([features.numpy() for features, _ in ds])
    y = np.concatenate([labels.numpy() for _, labels in ds])
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="binary_crossentropy",
        metrics=["binary_accuracy"],
    )
    return model.fit(x, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            p = model(x, training=True)
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(y, p))
        grads = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(grads, model.trainable_weights))
        return loss, tf.reduce_mean(keras.metrics.binary_accuracy(y, p))

    history = {"loss": [], "binary_accuracy": []}
    for _ in range(epochs):
        rows, table = [], []
        for x, y in ds:
            table.append([float(v) for v in step(x, y)])
            rows.append(len(x))
        loss, accuracy = np.average(table, axis=0, weights=rows)
        history["loss"].append(loss)
        history["binary_accuracy"].append(accuracy)
    return history
