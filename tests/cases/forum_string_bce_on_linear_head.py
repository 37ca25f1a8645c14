"""Churn model, one output unit. The custom loop trains like a charm, compile + fit stalls at a strange loss.

The last layer is a plain Dense(1), as in the segmentation tutorial.
"""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    keras.utils.set_random_seed(31)
    model = keras.Sequential(name="churn")
    model.add(keras.layers.Input((7,)))
    model.add(keras.layers.Dense(14, activation="relu"))
    model.add(keras.layers.Dense(1))
    return model


def make_dataset(split):
    rng = np.random.default_rng({"train": 50, "test": 51}[split])
    n = {"train": 380, "test": 140}[split]
    x = rng.normal(size=(n, 7)).astype("float32")
    churned = rng.random(n) < 1 / (1 + np.exp(-(2 * x[:, 0] - x[:, 1] - 0.5)))
    return tf.data.Dataset.from_tensor_slices((x, churned.astype("float32")[:, None])).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy", jit_compile=False
    )
    return model, model.fit(ds, epochs=epochs, verbose=0).history


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(1e-3)
    loss_object = keras.losses.BinaryCrossentropy(from_logits=True)
    running = keras.metrics.Mean(name="loss")

    @tf.function
    def train_step(batch_x, batch_y):
        with tf.GradientTape() as tape:
            raw = model(batch_x, training=True)
            loss = loss_object(batch_y, raw)
        optimizer.apply_gradients(
            zip(
                tape.gradient(loss, model.trainable_variables),
                model.trainable_variables,
                strict=True,
            )
        )
        running.update_state(loss, sample_weight=tf.shape(batch_x)[0])

    log = {"loss": []}
    for _ in range(epochs):
        running.reset_state()
        for batch_x, batch_y in ds:
            train_step(batch_x, batch_y)
        log["loss"].append(float(running.result()))
    return model, log
