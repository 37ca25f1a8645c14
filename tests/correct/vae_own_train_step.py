"""A variational autoencoder with a train_step of its own under fit; the loop calls its encoder and decoder."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(73)

    def call(self, inputs):
        mean, log_var = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * noise


def vae_loss(x, reconstruction, mean, log_var):
    distance = ops.mean(ops.sum(ops.square(x - reconstruction), axis=1))
    kl = -0.5 * ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), axis=1)
    return distance + ops.mean(kl)


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.total = keras.metrics.Mean(name="total")

    @property
    def metrics(self):
        return [self.total]

    def call(self, x):
        return self.decoder(self.encoder(x)[2])

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape() as tape:
            mean, log_var, code = self.encoder(x)
            loss = vae_loss(x, self.decoder(code), mean, log_var)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        self.total.update_state(loss)
        return {"total": self.total.result()}


def build_model():
    keras.utils.set_random_seed(72)
    row = keras.Input((10,))
    hidden = layers.Dense(20, activation="relu")(row)
    mean, log_var = layers.Dense(3)(hidden), layers.Dense(3)(hidden)
    encoder = keras.Model(row, [mean, log_var, Sampling()([mean, log_var])])
    decoder = keras.Sequential(
        [keras.Input((3,)), layers.Dense(20, activation="relu"), layers.Dense(10)]
    )
    return VAE(encoder, decoder)


def make_dataset(split):
    rng = np.random.default_rng(721 if split == "train" else 722)
    n = 240 if split == "train" else 60
    x = np.sin(rng.normal(size=(n, 3)) @ np.random.default_rng(7).normal(size=(3, 10)))
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), x.astype("float32"))).batch(30)


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.Adam(0.001))
    return model, model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    adam = keras.optimizers.Adam(0.001)
    encoder, decoder = model.encoder, model.decoder
    weights = encoder.trainable_weights + decoder.trainable_weights

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            mean, log_var, code = encoder(x, training=True)
            loss = vae_loss(x, decoder(code, training=True), mean, log_var)
        adam.apply_gradients(zip(tape.gradient(loss, weights), weights))
        return loss

    history = {"total": [float(np.mean([step(x) for x, _ in ds])) for _ in range(epochs)]}
    return model, history
