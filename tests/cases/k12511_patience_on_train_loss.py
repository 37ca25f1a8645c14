"""Patience of one epoch in both. fit gives up after two or three epochs, my loop runs all the epochs I allow.

Small and very noisy data (rerun with 5 epochs or more to see it).
"""

import keras
import numpy as np
import tensorflow as tf

EPOCHS = 6


def build_model():
    keras.utils.set_random_seed(12)
    return keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def make_dataset(split):
    rng = np.random.default_rng(125 if split == "train" else 111)
    n = 210 if split == "train" else 90
    x = rng.normal(size=(n, 20)).astype("float32")
    y = rng.integers(0, 2, (n, 1)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", jit_compile=False)
    stopper = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1)
    history = model.fit(
        ds, validation_data=make_dataset("test"), epochs=epochs, callbacks=[stopper], verbose=0
    )
    return model, history


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(0.01)
    bce = keras.losses.BinaryCrossentropy()
    test_ds = make_dataset("test")
    logs = {"loss": [], "val_loss": []}
    best, wait = float("inf"), 0

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = bce(y, model(x, training=True))
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    for _ in range(epochs):
        tr, te = keras.metrics.Mean(), keras.metrics.Mean()
        for x, y in ds:
            tr.update_state(step(x, y), sample_weight=tf.shape(x)[0])
        for x, y in test_ds:
            te.update_state(bce(y, model(x, training=False)), sample_weight=tf.shape(x)[0])
        logs["loss"].append(float(tr.result()))
        logs["val_loss"].append(float(te.result()))
        current = logs["loss"][-1]
        if current < best:
            best, wait = current, 0
        else:
            wait += 1
            if wait >= 1:
                break
    return model, logs
