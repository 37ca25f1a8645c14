"""mixed_bfloat16 by a dtype policy on the layers, float32 at the end; tf.function step."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (260, 601) if split == "train" else (120, 602)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 8))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 8))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    inputs = keras.Input((8,))
    h = layers.Dense(16, activation="relu", dtype="mixed_bfloat16")(inputs)
    h = layers.Dense(16, activation="relu", dtype="mixed_bfloat16")(h)
    return keras.Model(inputs, layers.Dense(3, dtype="float32")(h))


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.02, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        return loss

    log = []
    for _ in range(epochs):
        total = rows = 0
        for x, y in ds:
            total += float(step(x, y)) * len(y)
            rows += len(y)
        log.append({"loss": total / rows})
    return log
