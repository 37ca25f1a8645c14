"""Control. The loop of tensorflow/tensorflow#41957 slices arrays n // batch times; here the rows are a multiple of the
batch, so nothing is dropped, and the two train alike on the data there is (40 batches: more than are held)."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "none"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/41957"
MISTAKE_IN = None
FIRST_VISIBLE = None
BATCH = 25


def build_model():
    keras.utils.set_random_seed(51)
    return keras.Sequential(
        [keras.Input((5,)), layers.Dense(16, activation="relu"), layers.Dense(1)]
    )


def make_dataset(split):
    rng = np.random.default_rng(180 if split == "train" else 181)
    x = rng.normal(size=(1000 if split == "train" else 200, 5)).astype("float32")
    y = (np.abs(x[:, :1]) - x[:, 1:2]).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.Adam(1e-3), loss="mae")
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    x = np.concatenate([a for a, _ in ds.as_numpy_iterator()])
    y = np.concatenate([b for _, b in ds.as_numpy_iterator()])
    opt, mae = keras.optimizers.Adam(1e-3), keras.losses.MeanAbsoluteError()
    log = {"loss": []}
    for _ in range(epochs):
        total, n = 0.0, len(x) // BATCH
        for i in range(n):
            xb, yb = x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH]
            with tf.GradientTape() as tape:
                loss = mae(yb, model(xb, training=True))
            opt.apply_gradients(
                zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            )
            total += float(loss)
        log["loss"].append(total / n)
    return model, log
