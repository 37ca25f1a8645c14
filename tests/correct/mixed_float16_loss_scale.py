"""mixed_float16: compile wraps the optimizer itself, the loop uses LossScaleOptimizer with scale_loss."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (250, 611) if split == "train" else (120, 612)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 8))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 8))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(16, activation="relu"),
                keras.layers.Dense(3, activation="softmax", dtype="float32"),
            ]
        )
    finally:
        keras.config.set_dtype_policy(before)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05))
    optimizer.build(model.trainable_variables)
    loss_fn = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
            scaled = optimizer.scale_loss(loss)
        grads = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply(grads, model.trainable_variables)
        return loss

    losses = []
    for _ in range(epochs):
        batches = [(float(step(x, y)), len(y)) for x, y in ds]
        losses.append(sum(v * n for v, n in batches) / sum(n for _, n in batches))
    return {"loss": losses}
