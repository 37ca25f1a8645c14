"""Situation of soumik12345/tf2_gans#14: the gradients are taken for the generator's variables only; the encoder that
feeds it is part of the forward pass but is never updated."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "trainable_flags"
SOURCE = "https://github.com/soumik12345/tf2_gans/issues/14"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "update (the encoder's variables stay)"


def build_model():
    keras.utils.set_random_seed(37)
    encoder = keras.Sequential(
        [keras.Input((20,)), layers.Dense(24, activation="relu"), layers.Dense(5)], name="encoder"
    )
    decoder = keras.Sequential(
        [keras.Input((5,)), layers.Dense(24, activation="relu"), layers.Dense(20)], name="decoder"
    )
    x = keras.Input((20,))
    return keras.Model(x, decoder(encoder(x)))


def make_dataset(split):
    rng = np.random.default_rng(130 if split == "train" else 131)
    basis = np.random.default_rng(12).normal(size=(5, 20))
    x = np.tanh(rng.normal(size=(700 if split == "train" else 140, 5)) @ basis).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x)).batch(35)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="mae")
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    opt, mae = keras.optimizers.Adam(2e-3), keras.losses.MeanAbsoluteError()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            image = decoder(encoder(x, training=True), training=True)
            loss = mae(y, image)
        grads = tape.gradient(loss, decoder.trainable_variables)
        opt.apply_gradients(zip(grads, decoder.trainable_variables))
        return loss

    log = {"loss": []}
    for _ in range(epochs):
        log["loss"].append(float(np.mean([step(x, y) for x, y in ds])))
    return model, log
