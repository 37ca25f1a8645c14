"""Early stopping on val_loss with the best weights restored, the same rule by hand; tf.function."""

import math

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (167, 571) if split == "train" else (60, 572)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.6 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(16)


def build_model():
    return keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(48, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)
    model.compile(optimizer=keras.optimizers.Adam(0.03), loss="mse")
    return model.fit(
        ds, epochs=epochs, validation_data=make_dataset("test"), callbacks=[stop], verbose=0
    )


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.03)
    loss_fn = keras.losses.MeanSquaredError()
    val_ds = make_dataset("test")

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        return loss

    @tf.function
    def val_step(x, y):
        return loss_fn(y, model(x, training=False))

    def mean_over(step, data):
        mean = keras.metrics.Mean()
        for x, y in data:
            mean.update_state(step(x, y), sample_weight=tf.shape(x)[0])
        return float(mean.result())

    history = {"loss": [], "val_loss": []}
    best, best_weights, waited = math.inf, None, 0
    for _ in range(epochs):
        history["loss"].append(mean_over(train_step, ds))
        history["val_loss"].append(mean_over(val_step, val_ds))
        waited += 1
        if history["val_loss"][-1] < best:
            best, best_weights, waited = history["val_loss"][-1], model.get_weights(), 0
        elif waited >= 1:
            break
    if best_weights is not None:
        model.set_weights(best_weights)
    return history
