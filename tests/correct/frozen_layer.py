"""A frozen first layer; the loop differentiates by model.trainable_variables only."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (260, 591) if split == "train" else (120, 592)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 8))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 8))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    inputs = keras.Input(shape=(8,))
    h = layers.Dense(24, activation="tanh", trainable=False, name="features")(inputs)
    h = layers.Dense(12, activation="relu", name="head")(h)
    return keras.Model(inputs, layers.Dense(3)(h))


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    trainable = model.trainable_variables
    adam = keras.optimizers.Adam(0.01)
    adam.build(trainable)

    @tf.function
    def step(x, y):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for v in trainable:
                tape.watch(v.value)
            logits = model(x, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            )
        adam.apply(tape.gradient(loss, trainable), trainable)
        return loss

    out = []
    for _ in range(epochs):
        rows = [(float(step(x, y)), len(y)) for x, y in ds]
        out.append({"loss": sum(a * b for a, b in rows) / sum(b for _, b in rows)})
    return out
