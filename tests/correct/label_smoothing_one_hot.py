"""One-hot labels with label smoothing: by the loss object in fit, smoothed by hand in the loop."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (300, 341) if split == "train" else (120, 342)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(5, 7))
    y = rng.integers(0, 5, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 7))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, np.eye(5, dtype="float32")[y])).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Dense(20, activation="relu"),
            keras.layers.Dense(5),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.005),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        metrics=["accuracy"],
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.005)
    accuracy = keras.metrics.CategoricalAccuracy()

    @tf.function(reduce_retracing=True)
    def step(x, y):
        smooth = y * 0.9 + 0.1 / 5.0
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(
                tf.nn.softmax_cross_entropy_with_logits(labels=smooth, logits=logits)
            )
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        accuracy.update_state(y, logits)
        return loss

    log = []
    for _ in range(epochs):
        accuracy.reset_state()
        total, count = 0.0, 0
        for x, y in ds:
            total += float(step(x, y)) * int(tf.shape(y)[0])
            count += int(tf.shape(y)[0])
        log.append({"loss": total / count, "accuracy": float(accuracy.result())})
    return log
