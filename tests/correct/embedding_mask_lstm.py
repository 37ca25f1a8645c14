"""Embedding with mask_zero into an LSTM that returns its last state; step in tf.function."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (260, 51) if split == "train" else (85, 52)
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 30, size=(n, 9))
    lengths = rng.integers(2, 9 + 1, size=(n, 1))
    tokens = np.where(np.arange(9) < lengths, tokens, 0).astype("int32")
    y = ((tokens > 20).sum(axis=1, keepdims=True) >= 2).astype("float32")
    return tf.data.Dataset.from_tensor_slices((tokens, y)).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((9,), dtype="int32"),
            keras.layers.Embedding(30, 8, mask_zero=True),
            keras.layers.LSTM(10),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(0.01)
    opt.build(model.trainable_variables)
    bce = keras.losses.BinaryCrossentropy()
    meters = {"loss": keras.metrics.Mean(), "accuracy": keras.metrics.BinaryAccuracy()}

    @tf.function
    def train_step(tokens, label):
        with tf.GradientTape() as tape:
            p = model(tokens, training=True)
            loss = bce(label, p)
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        meters["loss"].update_state(loss, sample_weight=tf.shape(tokens)[0])
        meters["accuracy"].update_state(label, p)

    history = {name: [] for name in meters}
    for _ in range(epochs):
        for tokens, label in ds:
            train_step(tokens, label)
        for name, meter in meters.items():
            history[name].append(float(meter.result()))
            meter.reset_state()
    return history
