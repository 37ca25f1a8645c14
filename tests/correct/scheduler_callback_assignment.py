"""LearningRateScheduler callback in fit against assigning optimizer.learning_rate each epoch."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (290, 521) if split == "train" else (120, 522)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 7))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 7))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def rate(epoch, current=None):
    return 0.05 if epoch < 1 else 0.05 * 0.5**epoch


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.3, momentum=0.9), loss="sparse_categorical_crossentropy"
    )
    callback = keras.callbacks.LearningRateScheduler(rate)
    return model.fit(ds, epochs=epochs, callbacks=[callback], verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9)
    loss_fn = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    history = {"loss": [], "learning_rate": []}
    for epoch in range(epochs):
        optimizer.learning_rate = rate(epoch)
        values = [(step(x, y), x.shape[0]) for x, y in ds]
        rows = sum(n for _, n in values)
        history["loss"].append(sum(float(v) * n for v, n in values) / rows)
        history["learning_rate"].append(float(optimizer.learning_rate))
    return history
