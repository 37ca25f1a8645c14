"""Arrays on both sides: fit(shuffle=False) against np.array_split at fixed boundaries, with batch norm and dropout."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (250, 271) if split == "train" else (120, 272)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 8))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 8))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    inputs = keras.Input(shape=(8,))
    h = layers.BatchNormalization()(inputs)
    h = layers.Dense(24, activation="relu")(h)
    h = layers.Dropout(0.2)(h)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(h))


def arrays(ds):
    columns = zip(*ds.as_numpy_iterator())
    return [np.concatenate(column) for column in columns]


def keras_fit(model, ds, epochs):
    x, y = arrays(ds)
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0)
    return model


def custom_loop(model, ds, epochs):
    x, y = arrays(ds)
    cuts = np.arange(32, len(x), 32)
    batches = list(zip(np.array_split(x, cuts), np.array_split(y, cuts), strict=True))
    loss_fn = keras.losses.SparseCategoricalCrossentropy()
    optimizer = keras.optimizers.Adam(0.005)
    for _ in range(epochs):
        for xb, yb in batches:
            with tf.GradientTape() as tape:
                loss = loss_fn(yb, model(xb, training=True))
            optimizer.apply(
                tape.gradient(loss, model.trainable_variables), model.trainable_variables
            )
    return model
