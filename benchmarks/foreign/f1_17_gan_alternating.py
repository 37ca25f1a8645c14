"""Toy GAN on a ring of points. The question was whether setting `.trainable` on the
discriminator freezes it in the combined model; here the split is done by variable lists.
Both sides make one discriminator step and then one generator step through the updated
discriminator - fit by its own train_step, the loop with two tapes. Correct, just alike.
"""
import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "none"
SOURCE = "https://whosebug.com/question/4758149/Set-trainable-variable-in-GAN-implementation-in-tf-keras-properly"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

Z = 4


class GAN(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential(
            [keras.Input((Z,)), layers.Dense(24), layers.LeakyReLU(negative_slope=0.2), layers.Dense(2)])
        self.discriminator = keras.Sequential(
            [keras.Input((2,)), layers.Dense(24), layers.LeakyReLU(negative_slope=0.2), layers.Dense(1)])
        self.d_mean = keras.metrics.Mean(name="d_loss")
        self.g_mean = keras.metrics.Mean(name="g_loss")

    def call(self, z, training=False):
        return self.discriminator(self.generator(z, training=training), training=training)

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile(optimizer=g_optimizer)
        self.d_optimizer = d_optimizer
        self.loss_fn = loss_fn

    @property
    def metrics(self):
        return [self.d_mean, self.g_mean]

    def train_step(self, data):
        z, real = data
        n = tf.shape(real)[0]
        points = tf.concat([self.generator(z, training=True), real], axis=0)
        labels = tf.concat([tf.zeros((n, 1)), tf.ones((n, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(points, training=True))
        w = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, w), w))

        with tf.GradientTape() as tape:
            g_loss = self.loss_fn(tf.ones((n, 1)), self(z, training=True))
        w = self.generator.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(g_loss, w), w))
        self.d_mean.update_state(d_loss)
        self.g_mean.update_state(g_loss)
        return {m.name: m.result() for m in self.metrics}


def build_model():
    keras.utils.set_random_seed(33)
    gan = GAN()
    gan(np.zeros((1, Z), "float32"))
    return gan


def make_dataset(split):
    rng = np.random.default_rng(1001 if split == "train" else 1002)
    n = 768 if split == "train" else 128
    phi = rng.uniform(0, 2 * np.pi, n)
    ring = np.stack([np.cos(phi), np.sin(phi)], 1) + 0.05 * rng.normal(size=(n, 2))
    z = rng.normal(size=(n, Z))       # the noise is drawn in advance
    return tf.data.Dataset.from_tensor_slices((z.astype("float32"), ring.astype("float32"))).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(d_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
                  g_optimizer=keras.optimizers.Adam(5e-4, beta_1=0.5),
                  loss_fn=keras.losses.BinaryCrossentropy(from_logits=True))
    h = model.fit(ds, epochs=epochs, verbose=0).history
    return model, {"d_loss": h["d_loss"], "g_loss": h["g_loss"]}


def custom_loop(model, ds, epochs):
    G, D = model.generator, model.discriminator
    opt_d = keras.optimizers.Adam(1e-3, beta_1=0.5)
    opt_g = keras.optimizers.Adam(5e-4, beta_1=0.5)

    def xent(target, logits):
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=target * tf.ones_like(logits), logits=logits)

    @tf.function
    def alternate(z, real):
        with tf.GradientTape() as t:
            fake = tf.stop_gradient(G(z, training=True))
            d = 0.5 * (tf.reduce_mean(xent(0.0, D(fake, training=True)))
                       + tf.reduce_mean(xent(1.0, D(real, training=True))))
        opt_d.apply_gradients(zip(t.gradient(d, D.trainable_variables), D.trainable_variables))
        with tf.GradientTape() as t:
            g = tf.reduce_mean(xent(1.0, D(G(z, training=True), training=True)))
        opt_g.apply_gradients(zip(t.gradient(g, G.trainable_variables), G.trainable_variables))
        return d, g

    log = {"d_loss": [], "g_loss": []}
    for epoch in range(epochs):
        ds_, gs_ = zip(*[alternate(z, real) for z, real in ds])
        log["d_loss"].append(float(tf.add_n(ds_) / len(ds_)))
        log["g_loss"].append(float(tf.add_n(gs_) / len(gs_)))
        print(f"{epoch}: D {log['d_loss'][-1]:.3f} G {log['g_loss'][-1]:.3f}")
    return model, log
