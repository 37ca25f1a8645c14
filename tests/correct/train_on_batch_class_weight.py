"""train_on_batch with class_weight in place of fit(class_weight=...)."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (310, 201) if split == "train" else (113, 202)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(30)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="elu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


CLASS_WEIGHT = {0: 1.0, 1: 2.5, 2: 0.4}


def keras_fit(model, ds, epochs):
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy")
    model.fit(ds, epochs=epochs, class_weight=CLASS_WEIGHT, verbose=0)


def custom_loop(model, ds, epochs):
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy")
    for _ in range(epochs):
        for x, y in ds.as_numpy_iterator():
            model.train_on_batch(x, y, class_weight=CLASS_WEIGHT)
