"""gradient_accumulation_steps=3 in fit against sums kept by hand (carried over epochs), SGD."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (270, 651) if split == "train" else (120, 652)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(16)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.2, momentum=0.5, gradient_accumulation_steps=3),
        loss="sparse_categorical_crossentropy",
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    every = 3
    optimizer = keras.optimizers.SGD(0.2, momentum=0.5)
    loss_fn = keras.losses.SparseCategoricalCrossentropy()
    variables = model.trainable_variables
    kept = [np.zeros(v.shape, "float32") for v in variables]
    pending = 0
    losses = []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x, y in ds:
            with tf.GradientTape() as tape:
                loss = loss_fn(y, model(x, training=True))
            kept = [k + g for k, g in zip(kept, tape.gradient(loss, variables), strict=True)]
            pending += 1
            if pending == every:
                optimizer.apply([k / every for k in kept], variables)
                kept = [np.zeros(v.shape, "float32") for v in variables]
                pending = 0
            total += float(loss) * len(y)
            rows += len(y)
        losses.append(total / rows)
    return losses
