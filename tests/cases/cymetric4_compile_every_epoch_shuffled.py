"""Variant of a03: both sides shuffle. Situation of pythoncymetric/cymetric#4 (same kind: alan-turing-institute/deepsensor#47, keras-team/keras#13750): the
Keras side compiles again in every epoch, so Adam starts anew and its moments are lost. The tape loop keeps one Adam."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "optimizer_state_reset"
SOURCE = "https://github.com/pythoncymetric/cymetric/pull/4"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "update, first step of the second epoch"


def build_model():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(48, activation="gelu"),
            layers.Dense(48, activation="gelu"),
            layers.Dense(1),
        ]
    )


def make_dataset(split):
    rng = np.random.default_rng(10 if split == "train" else 11)
    x = rng.uniform(-1, 1, (640 if split == "train" else 128, 6)).astype("float32")
    y = np.sin(3 * x[:, :1]) * x[:, 1:2] + x[:, 2:3] ** 2 - x[:, 3:4]
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(64)


def keras_fit(model, ds, epochs):
    history = {"loss": []}
    x = np.concatenate([a for a, _ in ds.as_numpy_iterator()])
    y = np.concatenate([b for _, b in ds.as_numpy_iterator()])
    for _ in range(epochs):
        model.compile(optimizer="adam", loss="mse")
        h = model.fit(x, y, batch_size=64, epochs=1, verbose=0)
        history["loss"] += h.history["loss"]
    return model, history


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.MeanSquaredError()

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        return loss

    history = {"loss": []}
    ds = ds.unbatch().shuffle(2000).batch(64)
    for _ in range(epochs):
        batch_losses = [float(train_step(x, y)) for x, y in ds]
        history["loss"].append(float(np.mean(batch_losses)))
    return model, history
