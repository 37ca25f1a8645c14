"""Situation of keras-team/keras#7804: training goes on after a first epoch with initial_epoch=1, and `epochs` is taken for
the number of those still to come. It is the one to stop at, so fit trains fewer than the loop does."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "epochs_differ"
SOURCE = "https://github.com/keras-team/keras/issues/7804"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "end of run (epochs trained)"
FIRST = 1


def build_model():
    keras.utils.set_random_seed(78)
    x = keras.Input((12, 2))
    h = layers.GlobalMaxPooling1D()(layers.Conv1D(10, 4, activation="elu")(x))
    return keras.Model(x, layers.Dense(1)(h))


def make_dataset(split):
    rng = np.random.default_rng(784 if split == "train" else 785)
    n = 160 if split == "train" else 64
    x = rng.normal(size=(n, 12, 2)).cumsum(axis=1).astype("float32")
    y = x.max(axis=(1, 2), keepdims=True)[:, :, 0]
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.Nadam(0.004), "mse")
    history = dict(model.fit(ds, epochs=FIRST, verbose=0).history)
    still = epochs - FIRST  # after a look at the first one
    if still:
        rest = model.fit(ds, initial_epoch=FIRST, epochs=still, verbose=0)
        history["loss"] = history["loss"] + rest.history.get("loss", [])
    return model, history


def custom_loop(model, ds, epochs):
    optimizer, mse = keras.optimizers.Nadam(0.004), keras.losses.MeanSquaredError()
    mean = keras.metrics.Mean()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mse(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        mean.update_state(loss)

    history = {"loss": []}
    for _ in range(epochs):
        mean.reset_state()
        for x, y in ds:
            step(x, y)
        history["loss"].append(float(mean.result()))
    return model, history
