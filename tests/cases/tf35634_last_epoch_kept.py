"""Logs of all epochs agree, yet `evaluate` afterwards is much worse for the hand-written loop on this overfitting toy
problem. fit runs with the EarlyStopping callback, the epoch limit is reached before it stops anything.
"""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    keras.utils.set_random_seed(356)
    i = keras.Input((16,))
    h = keras.layers.Dense(48, activation="relu")(i)
    return keras.Model(i, keras.layers.Dense(1)(h))


def make_dataset(split):
    rng = np.random.default_rng(34 if split == "train" else 35)
    n = 200 if split == "train" else 104
    x = rng.normal(size=(n, 16)).astype("float32")
    y = rng.normal(size=(n, 1)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(24)


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.Adam(0.02), loss="mse", jit_compile=False)
    cb = keras.callbacks.EarlyStopping("val_loss", patience=50, restore_best_weights=True)
    return model.fit(
        ds, validation_data=make_dataset("test"), epochs=epochs, callbacks=[cb], verbose=0
    )


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(0.02)
    mse = keras.losses.MeanSquaredError()
    held_out = make_dataset("test")
    best_val, wait = np.inf, 0
    log = {"loss": [], "val_loss": []}

    @tf.function
    def update(x, y):
        with tf.GradientTape() as tape:
            loss = mse(y, model(x, training=True))
        gs = tape.gradient(loss, model.trainable_variables)
        opt.apply_gradients(zip(gs, model.trainable_variables, strict=True))
        return loss

    for _ in range(epochs):
        m, v = keras.metrics.Mean(), keras.metrics.Mean()
        for x, y in ds:
            m.update_state(update(x, y), sample_weight=tf.shape(x)[0])
        for x, y in held_out:
            v.update_state(mse(y, model(x, training=False)), sample_weight=tf.shape(x)[0])
        log["loss"].append(float(m.result()))
        log["val_loss"].append(float(v.result()))
        if log["val_loss"][-1] < best_val:
            best_val, wait = log["val_loss"][-1], 0
        else:
            wait += 1
        if wait >= 50:
            break
    return model, log
