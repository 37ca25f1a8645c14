"""Weights with reduction='mean_with_sample_weight' in fit against sum(w * l) / sum(w) in the loop."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (255, 431) if split == "train" else (113, 432)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    w = rng.choice([0.5, 1.0, 3.0], size=n).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"), w)).batch(24)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="swish"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"),
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    sgd = keras.optimizers.SGD(0.1)
    no_reduction = keras.losses.SparseCategoricalCrossentropy(reduction=None)

    @tf.function(reduce_retracing=True)
    def update(x, y, w):
        with tf.GradientTape() as tape:
            values = no_reduction(y, model(x, training=True))
            loss = tf.math.divide_no_nan(tf.reduce_sum(values * w), tf.reduce_sum(w))
        sgd.apply_gradients(
            zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        )
        return loss * tf.cast(tf.size(w), tf.float32), tf.size(w)

    losses = []
    for _ in range(epochs):
        sums = np.sum([[float(v) for v in update(*batch)] for batch in ds], axis=0)
        losses.append(sums[0] / sums[1])
    return {"loss": losses}
