"""Digits sorted by label on disk. fit is fine, the hand-written loop wobbles: every epoch it forgets the first digits.

I do call shuffle() in both.
"""

import gzip
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

DATA = Path(__file__).parents[2] / "data"
ROWS = 700


def _mnist(prefix, n):
    with gzip.open(DATA / f"{prefix}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + n * 784)[16:], np.uint8).reshape(-1, 28, 28, 1)
    with gzip.open(DATA / f"{prefix}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n)[8:], np.uint8)
    return images.astype("float32") / 255.0, labels.astype("int64")


def build_model():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.AveragePooling2D(4),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def make_dataset(split):
    images, labels = _mnist("train", ROWS) if split == "train" else _mnist("t10k", 250)
    order = np.argsort(labels, kind="stable")  # one folder per digit
    return tf.data.Dataset.from_tensor_slices((images[order], labels[order])).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    mixed = ds.unbatch().shuffle(ROWS, seed=3, reshuffle_each_iteration=False).batch(32)
    mixed = mixed.apply(
        tf.data.experimental.assert_cardinality(-(-ROWS // 32))
    )  # for the progress bar
    return model.fit(mixed, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    batches = ds.unbatch().shuffle(32, seed=3, reshuffle_each_iteration=False).batch(32)
    opt = keras.optimizers.Adam()
    scce = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(img, lab):
        with tf.GradientTape() as tape:
            probs = model(img, training=True)
            loss = scce(lab, probs)
        opt.apply_gradients(
            zip(
                tape.gradient(loss, model.trainable_variables),
                model.trainable_variables,
                strict=True,
            )
        )
        return loss, probs

    log = {"loss": [], "accuracy": []}
    for _ in range(epochs):
        total, hits, seen = 0.0, 0, 0
        for img, lab in batches:
            loss, probs = step(img, lab)
            total += float(loss) * len(lab)
            hits += int(np.sum(np.argmax(probs, -1) == lab.numpy()))
            seen += len(lab)
        log["loss"].append(total / seen)
        log["accuracy"].append(hits / seen)
    return log
