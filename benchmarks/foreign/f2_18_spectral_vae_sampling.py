"""Report: a variational autoencoder with a sampling layer, own encoder and decoder, trained by fit
and by a hand-written loop, where the figures of the two do not seem to fit together.
This version is right: the KL term is added by the sampling layer and both sides count it,
the noise comes from the layer's seed generator. Nothing is wrong.
"""
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

CAUSE = "none"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/28338"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

WIDTH, LATENT, BETA = 32, 3, 0.5


def make_dataset(split):
    rng = np.random.default_rng(300 if split == "train" else 301)
    n = 700 if split == "train" else 140
    f = rng.uniform(1, 3, (n, 1))
    p = rng.uniform(0, np.pi, (n, 1))
    t = np.linspace(0, 1, WIDTH)[None]
    x = 0.5 + 0.4 * np.sin(2 * np.pi * f * t + p) + 0.03 * rng.normal(size=(n, WIDTH))
    x = np.clip(x, 0, 1).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x)).batch(35)


class Sampling(layers.Layer):
    def __init__(self, beta, **kwargs):
        super().__init__(**kwargs)
        self.beta = beta
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs, training=None):
        mean, log_var = inputs
        kl = -0.5 * ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), axis=-1)
        self.add_loss(self.beta * ops.mean(kl) / WIDTH)
        if not training:
            return mean
        eps = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * eps


class VAE(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.enc = layers.Dense(24, activation="relu")
        self.mean = layers.Dense(LATENT)
        self.log_var = layers.Dense(LATENT)
        self.sampling = Sampling(BETA)
        self.dec = layers.Dense(24, activation="relu")
        self.out = layers.Dense(WIDTH, activation="sigmoid")

    def call(self, x, training=None):
        h = self.enc(x)
        z = self.sampling((self.mean(h), self.log_var(h)), training=training)
        return self.out(self.dec(z))


def build_model():
    keras.utils.set_random_seed(19)
    vae = VAE()
    vae(np.zeros((1, WIDTH), "float32"))
    return vae


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="binary_crossentropy")
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": h.history["loss"]}


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(3e-3)
    bce = keras.losses.BinaryCrossentropy()
    per_epoch = []
    for epoch in range(epochs):
        total = keras.metrics.Mean()
        for _, (x, target) in enumerate(ds):
            with tf.GradientTape() as tape:
                reconstructed = model(x, training=True)
                loss = bce(target, reconstructed)
                loss += sum(model.losses)
            grads = tape.gradient(loss, model.trainable_weights)
            optimizer.apply_gradients(zip(grads, model.trainable_weights))
            total(loss)
        per_epoch.append(float(total.result()))
    return model, {"loss": per_epoch}
