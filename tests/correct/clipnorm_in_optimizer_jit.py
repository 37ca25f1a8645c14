"""clipnorm inside the optimizer on both sides; jit_compile=True step, Adam."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (265, 471) if split == "train" else (120, 472)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(3),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01, clipnorm=0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01, clipnorm=0.1)
    optimizer.build(model.trainable_variables)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=True)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(grads, model.trainable_variables)
        return loss

    for _ in range(epochs):
        for x, y in ds:
            step(x, y)
    return model
