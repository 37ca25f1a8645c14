"""An autoencoder whose encoder and decoder are called one by one, each with a tape and an Adam of its own."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def build_model():
    keras.utils.set_random_seed(61)
    encoder = keras.Sequential(
        [
            keras.Input((14,)),
            layers.Dense(18, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(4),
        ],
        name="encoder",
    )
    decoder = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(18, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(14),
        ],
        name="decoder",
    )
    row = keras.Input((14,))
    return keras.Model(row, decoder(encoder(row)))


def make_dataset(split):
    rng = np.random.default_rng(611 if split == "train" else 612)
    n = 236 if split == "train" else 60
    x = np.tanh(rng.normal(size=(n, 4)) @ np.random.default_rng(6).normal(size=(4, 14)))
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), x.astype("float32"))).batch(24)


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.Adam(0.002), "mse")
    return model, model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    encoder_optimizer = keras.optimizers.Adam(0.002)
    decoder_optimizer = keras.optimizers.Adam(0.002)
    mse = keras.losses.MeanSquaredError()

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as encoder_tape, tf.GradientTape() as decoder_tape:
            code = encoder(x, training=True)
            loss = mse(y, decoder(code, training=True))
        encoder_gradients = encoder_tape.gradient(loss, encoder.trainable_variables)
        decoder_gradients = decoder_tape.gradient(loss, decoder.trainable_variables)
        decoder_optimizer.apply_gradients(zip(decoder_gradients, decoder.trainable_variables))
        encoder_optimizer.apply_gradients(zip(encoder_gradients, encoder.trainable_variables))
        return loss

    log = {"loss": []}
    for _ in range(epochs):
        total = rows = 0
        for x, y in ds:
            total += float(train_step(x, y)) * len(x)
            rows += len(x)
        log["loss"].append(total / rows)
    return model, log
