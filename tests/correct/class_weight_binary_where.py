"""class_weight on a binary task: weights by tf.where as the loss's sample_weight; validation unweighted."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(411 if split == "train" else 412)
    n = 325 if split == "train" else 90
    x = rng.normal(size=(n, 5)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] ** 2 + 0.3 * rng.normal(size=(n, 1)) > 0.8).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(50)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(12, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


NEGATIVE, POSITIVE = 0.7, 2.2


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    return model.fit(
        ds,
        epochs=epochs,
        class_weight={0: NEGATIVE, 1: POSITIVE},
        validation_data=make_dataset("test"),
        verbose=0,
    )


def custom_loop(model, ds, epochs):
    bce = keras.losses.BinaryCrossentropy()
    adam = keras.optimizers.Adam(0.01)
    log = {"loss": [], "val_loss": []}
    for _ in range(epochs):
        train, val = keras.metrics.Mean(), keras.metrics.Mean()
        for x, y in ds:
            w = tf.where(y[:, 0] > 0.5, POSITIVE, NEGATIVE)
            with tf.GradientTape() as tape:
                loss = bce(y, model(x, training=True), sample_weight=w)
            adam.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            train(loss, sample_weight=len(y))
        for x, y in make_dataset("test"):
            val(bce(y, model(x, training=False)), sample_weight=len(y))
        log["loss"].append(float(train.result()))
        log["val_loss"].append(float(val.result()))
    return log
