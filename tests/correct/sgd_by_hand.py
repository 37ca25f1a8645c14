"""No optimizer in the loop: w.assign_sub(lr * g) against SGD."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (267, 661) if split == "train" else (110, 662)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(26)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.06), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs, lr=0.06):
    log = []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x, y in ds:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
            grads = tape.gradient(loss, model.trainable_variables)
            for w, g in zip(model.trainable_variables, grads, strict=True):
                w.assign_sub(lr * g)
            total += float(loss) * len(x)
            rows += len(x)
        log.append({"loss": total / rows})
    return log
