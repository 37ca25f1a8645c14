"""The same CosineDecay schedule object type in both optimizers; tf.function step."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (330, 511) if split == "train" else (110, 512)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def make_optimizer():
    return keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.02, decay_steps=40, alpha=0.1)
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=make_optimizer(), loss="mse", metrics=["mae"])
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = make_optimizer()
    loss_fn, mae = keras.losses.MeanSquaredError(), keras.metrics.MeanAbsoluteError()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            p = model(x, training=True)
            loss = loss_fn(y, p)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        mae.update_state(y, p)
        return loss

    log = []
    for _ in range(epochs):
        mae.reset_state()
        total, rows = 0.0, 0
        for x, y in ds:
            total += step(x, y).numpy() * len(y)
            rows += len(y)
        log.append({"loss": total / rows, "mae": float(mae.result())})
    return log
