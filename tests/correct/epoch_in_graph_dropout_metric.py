"""A whole epoch in one tf.function with dropout and keras.metrics objects updated inside."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(31 if split == "train" else 32)
    n = 290 if split == "train" else 90
    x = rng.normal(size=(n, 5)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] ** 2 + 0.3 * rng.normal(size=(n, 1)) > 0.8).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(24)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.005), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model.fit(ds, epochs=epochs, verbose=0)


class Running:
    def __init__(self):
        self.loss = keras.metrics.Mean(name="loss")
        self.accuracy = keras.metrics.BinaryAccuracy(name="accuracy")

    def reset(self):
        self.loss.reset_state()
        self.accuracy.reset_state()

    def read(self):
        return {"loss": float(self.loss.result()), "accuracy": float(self.accuracy.result())}


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(0.005)
    opt.build(model.trainable_variables)
    bce = keras.losses.BinaryCrossentropy()
    running = Running()

    @tf.function
    def one_epoch():
        for x, y in ds:
            with tf.GradientTape() as tape:
                p = model(x, training=True)
                loss = bce(y, p)
            opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            running.loss.update_state(loss, sample_weight=tf.shape(y)[0])
            running.accuracy.update_state(y, p)

    logs = []
    for _ in range(epochs):
        running.reset()
        one_epoch()
        logs.append(running.read())
    return logs
