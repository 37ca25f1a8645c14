"""The guide's way to override train_step, on an autoencoder. What fit prints at the end of an epoch jumps up and down,
and my own loop on the same model prints a smooth curve. The weights agree to the last digit.
"""

import keras
import numpy as np
import tensorflow as tf


class AutoEncoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [keras.layers.Dense(12, activation="gelu"), keras.layers.Dense(3)]
        )
        self.decoder = keras.Sequential(
            [keras.layers.Dense(12, activation="gelu"), keras.layers.Dense(9)]
        )

    def call(self, x, training=False):
        return self.decoder(self.encoder(x, training=training), training=training)

    def losses_of(self, x):
        code = self.encoder(x, training=True)
        reconstruction_loss = tf.reduce_mean(tf.square(x - self.decoder(code, training=True)))
        code_loss = 0.01 * tf.reduce_mean(tf.square(code))
        return reconstruction_loss + code_loss, reconstruction_loss, code_loss

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape() as tape:
            total_loss, reconstruction_loss, code_loss = self.losses_of(x)
        grads = tape.gradient(total_loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        return {
            "loss": total_loss,
            "reconstruction_loss": reconstruction_loss,
            "code_loss": code_loss,
        }


def build_model():
    keras.utils.set_random_seed(48)
    model = AutoEncoder()
    model(tf.zeros((1, 9)))
    return model


def make_dataset(split):
    rng = np.random.default_rng(480 if split == "train" else 481)
    n = 150 if split == "train" else 60
    hidden = rng.normal(size=(n, 3)) * rng.uniform(0.2, 2.0, (n, 1))
    x = np.tanh(hidden @ np.random.default_rng(4).normal(size=(3, 9))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x)).batch(25)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.003))
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.003)
    names = ("loss", "reconstruction_loss", "code_loss")
    means = [keras.metrics.Mean() for _ in names]
    logs = {name: [] for name in names}

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            found = model.losses_of(x)
        grads = tape.gradient(found[0], model.trainable_weights)
        optimizer.apply_gradients(zip(grads, model.trainable_weights))
        for mean, value in zip(means, found):
            mean.update_state(value, sample_weight=tf.shape(x)[0])

    for _ in range(epochs):
        for x, _y in ds:
            step(x)
        for name, mean in zip(names, means):
            logs[name].append(float(mean.result()))
            mean.reset_state()
    return logs
