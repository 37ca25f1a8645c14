"""clipvalue in fit's optimizer against tf.clip_by_value in the loop; log-cosh loss."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (235, 491) if split == "train" else (110, 492)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.4 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(20)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(16, activation="selu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.RMSprop(0.005, clipvalue=0.02), loss=keras.losses.LogCosh()
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def clip(grads, limit):
    return [tf.clip_by_value(g, -limit, limit) for g in grads]


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.RMSprop(0.005)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.log_cosh(y, model(x, training=True)))
        grads = clip(tape.gradient(loss, model.trainable_variables), 0.02)
        optimizer.apply(grads, model.trainable_variables)
        return loss

    history = {"loss": []}
    for _ in range(epochs):
        losses, counts = zip(*[(float(step(x, y)), len(x)) for x, y in ds], strict=True)
        history["loss"].append(float(np.dot(losses, counts) / np.sum(counts)))
    return history
