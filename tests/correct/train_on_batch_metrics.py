"""model.train_on_batch over the data; the per-batch logs averaged by rows."""

import collections

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (350, 191) if split == "train" else (120, 192)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 7))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 7))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(64)


def build_model():
    return keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Dense(24, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adamax(0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adamax(0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    epochs_log = []
    for _ in range(epochs):
        sums = collections.defaultdict(float)
        rows = 0
        for x, y in ds:
            logs = model.train_on_batch(x, y, return_dict=True)
            for key, value in logs.items():
                sums[key] += float(value) * len(y)
            rows += len(y)
        epochs_log.append({key: value / rows for key, value in sums.items()})
    return epochs_log
