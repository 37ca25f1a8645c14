"""fit shuffles arrays itself, the loop by its own numpy permutation each epoch; tf.function step."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (427, 301) if split == "train" else (120, 302)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(35)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    x = np.concatenate([a.numpy() for a, _ in ds])
    y = np.concatenate([b.numpy() for _, b in ds])
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="sparse_categorical_crossentropy")
    return model.fit(x, y, batch_size=35, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    x = np.concatenate([a.numpy() for a, _ in ds])
    y = np.concatenate([b.numpy() for _, b in ds])
    opt = keras.optimizers.Adam(0.003)
    rng = np.random.default_rng(77)

    @tf.function
    def step(xb, yb):
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(yb, model(xb, training=True))
            loss = tf.reduce_mean(losses)
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return tf.reduce_sum(losses)

    curve = []
    for _ in range(epochs):
        order = rng.permutation(len(x))
        total = 0.0
        for i in range(0, len(x), 35):
            rows = order[i : i + 35]
            total += float(step(tf.constant(x[rows]), tf.constant(y[rows])))
        curve.append(total / len(x))
    return curve
