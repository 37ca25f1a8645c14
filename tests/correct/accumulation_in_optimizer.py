"""gradient_accumulation_steps=4 in the optimizer on both sides; tf.function step."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (305, 641) if split == "train" else (110, 642)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(16)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.02, gradient_accumulation_steps=4), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.02, gradient_accumulation_steps=4)
    optimizer.build(model.trainable_variables)
    mse = keras.losses.MeanSquaredError()
    tracker = keras.metrics.Mean("loss")

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mse(y, model(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        tracker.update_state(loss, sample_weight=tf.shape(x)[0])

    log = []
    for _ in range(epochs):
        tracker.reset_state()
        for x, y in ds:
            step(x, y)
        log.append({tracker.name: tracker.result().numpy()})
    return log
