"""No optimizer in the loop: velocity variables by hand in a tf.function against SGD(momentum)."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(671 if split == "train" else 672)
    n = 250 if split == "train" else 90
    x = rng.normal(size=(n, 5)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] ** 2 + 0.3 * rng.normal(size=(n, 1)) > 0.8).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(12, activation="tanh"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.85), loss="binary_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    weights = model.trainable_variables
    velocity = [tf.Variable(tf.zeros_like(w)) for w in weights]
    loss_fn = keras.losses.BinaryCrossentropy()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        for w, v, g in zip(weights, velocity, tape.gradient(loss, weights)):
            v.assign(0.85 * v - 0.05 * g)
            w.assign_add(v)
        return loss

    curve = []
    for _ in range(epochs):
        mean = keras.metrics.Mean()
        for x, y in ds:
            mean.update_state(step(x, y), sample_weight=tf.shape(y)[0])
        curve.append(mean.result().numpy())
    return curve
