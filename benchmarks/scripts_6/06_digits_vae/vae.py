# Variational autoencoder on sklearn digits (8x8)
#   VAE          : keras.Model with its own train_step, trained with fit()
#   train_by_hand: same encoder / decoder, plain loop
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits

LATENT = 2
EPOCHS = 6
BATCH = 128
BETA = 1.0


class Sampling(layers.Layer):
    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        eps = keras.random.normal(ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * eps


def make_encoder():
    inp = keras.Input((64,))
    x = layers.Dense(64, activation="relu")(inp)
    x = layers.Dense(32, activation="relu")(x)
    z_mean = layers.Dense(LATENT, name="z_mean")(x)
    z_log_var = layers.Dense(LATENT, name="z_log_var")(x)
    z = Sampling(seed=1337)([z_mean, z_log_var])
    return keras.Model(inp, [z_mean, z_log_var, z], name="encoder")


def make_decoder():
    inp = keras.Input((LATENT,))
    x = layers.Dense(32, activation="relu")(inp)
    x = layers.Dense(64, activation="relu")(x)
    return keras.Model(inp, layers.Dense(64, activation="sigmoid")(x), name="decoder")


def vae_losses(x, x_hat, z_mean, z_log_var):
    recon = ops.mean(ops.sum(ops.binary_crossentropy(x, x_hat), axis=-1))
    kl = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
    kl = ops.mean(ops.sum(kl, axis=1))
    return recon, kl


class VAE(keras.Model):
    def __init__(self, encoder, decoder, beta=BETA, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.beta = beta

    def call(self, x, training=None):
        return self.decoder(self.encoder(x, training=training)[2], training=training)

    def train_step(self, data):
        x = data[0] if isinstance(data, tuple) else data
        with tf.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(x, training=True)
            x_hat = self.decoder(z, training=True)
            recon, kl = vae_losses(x, x_hat, z_mean, z_log_var)
            loss = recon + self.beta * kl
        grads = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        return {"loss": loss, "reconstruction_loss": recon, "kl_loss": kl}


def train_by_hand(encoder, decoder, x_train):
    optimizer = keras.optimizers.Adam(3e-3)
    weights = encoder.trainable_weights + decoder.trainable_weights
    ds = tf.data.Dataset.from_tensor_slices(x_train).shuffle(len(x_train)).batch(BATCH)

    @tf.function
    def one_step(x):
        with tf.GradientTape() as tape:
            mu, logvar, z = encoder(x, training=True)
            x_hat = decoder(z, training=True)
            recon, kl = vae_losses(x, x_hat, mu, logvar)
            total = recon + BETA * kl
        optimizer.apply_gradients(zip(tape.gradient(total, weights), weights))
        return total, recon, kl

    log = {"loss": [], "reconstruction_loss": [], "kl_loss": []}
    for epoch in range(EPOCHS):
        rows = np.array([[float(v) for v in one_step(x)] for x in ds])
        for key, value in zip(log, rows.mean(axis=0)):
            log[key].append(value)
        print(f"epoch {epoch + 1}/{EPOCHS}  " + "  ".join(f"{k}: {v[-1]:.3f}" for k, v in log.items()))
    return log


if __name__ == "__main__":
    x = load_digits().data.astype("float32") / 16.0
    x = x[: len(x) // BATCH * BATCH]

    vae = VAE(make_encoder(), make_decoder())
    vae.compile(optimizer=keras.optimizers.Adam(3e-3))
    hist = vae.fit(x, epochs=EPOCHS, batch_size=BATCH, verbose=2)

    log = train_by_hand(make_encoder(), make_decoder(), x)

    for key in log:
        print(f"{key:22s} fit {hist.history[key][-1]:.3f}   loop {log[key][-1]:.3f}")
