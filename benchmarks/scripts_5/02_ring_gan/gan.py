"""Toy GAN on a ring of Gaussians.

First as a keras.Model with train_step (so that fit() can be used), then the same thing
as an old style loop, the way I had it in my notebook in 2019.
"""
import numpy as np
import tensorflow as tf
import keras
from keras import layers

N, BATCH, EPOCHS, LATENT = 1500, 64, 8, 8
SMOOTH = 0.9          # one-sided label smoothing


def ring(n, modes=6, seed=3):
    rng = np.random.default_rng(seed)
    k = rng.integers(0, modes, n)
    c = np.stack([np.cos(2 * np.pi * k / modes), np.sin(2 * np.pi * k / modes)], 1)
    return (c + rng.normal(0, 0.06, (n, 2))).astype("float32")


def make_generator():
    return keras.Sequential([
        layers.Input((LATENT,)),
        layers.Dense(32, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Dense(32, activation="relu"),
        layers.Dense(2),
    ], name="generator")


def make_critic():
    return keras.Sequential([
        layers.Input((2,)),
        layers.Dense(48),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Dense(24),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Dense(1),          # logit
    ], name="discriminator")


def noise(n, step, salt):
    return tf.random.stateless_normal((n, LATENT), seed=tf.stack([tf.cast(step, tf.int32), salt]))


class GAN(keras.Model):
    def __init__(self, g, d):
        super().__init__()
        self.g, self.d = g, d
        self.d_tracker = keras.metrics.Mean(name="d_loss")
        self.g_tracker = keras.metrics.Mean(name="g_loss")

    def compile(self, g_opt, d_opt):
        super().compile()
        self.g_opt, self.d_opt = g_opt, d_opt
        self.bce = keras.losses.BinaryCrossentropy(from_logits=True)

    @property
    def metrics(self):
        return [self.d_tracker, self.g_tracker]

    def train_step(self, real):
        n = tf.shape(real)[0]
        step = self.d_opt.iterations

        # --- discriminator, real and fake in one go
        fake = self.g(noise(n, step, 1), training=True)
        both = tf.concat([real, fake], axis=0)
        target = tf.concat([SMOOTH * tf.ones((n, 1)), tf.zeros((n, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.bce(target, self.d(both, training=True))
        z = noise(n, step, 2)
        self.d_opt.apply(tape.gradient(d_loss, self.d.trainable_weights), self.d.trainable_weights)

        # --- generator
        with tf.GradientTape() as tape:
            score = self.d(self.g(z, training=True), training=True)
            g_loss = self.bce(tf.ones((n, 1)), score)
        self.g_opt.apply(tape.gradient(g_loss, self.g.trainable_weights), self.g.trainable_weights)

        self.d_tracker.update_state(d_loss)
        self.g_tracker.update_state(g_loss)
        return {m.name: m.result() for m in self.metrics}


data = ring(N)
dataset = tf.data.Dataset.from_tensor_slices(data).shuffle(N, seed=5).batch(BATCH, drop_remainder=True)

g0, d0 = make_generator(), make_critic()
start_g, start_d = g0.get_weights(), d0.get_weights()

# ---------------------------------------------------------------- fit
gan = GAN(g0, d0)
gan.compile(keras.optimizers.Adam(1e-3, beta_1=0.5), keras.optimizers.Adam(2e-3, beta_1=0.5))
gan.fit(dataset, epochs=EPOCHS, verbose=2)

# ---------------------------------------------------------------- the old loop
G, D = make_generator(), make_critic()
G.set_weights(start_g)
D.set_weights(start_d)
opt_g = keras.optimizers.Adam(learning_rate=1e-3, beta_1=0.5)
opt_d = keras.optimizers.Adam(learning_rate=2e-3, beta_1=0.5)
sce = tf.nn.sigmoid_cross_entropy_with_logits
opt_d.build(D.trainable_variables)
opt_g.build(G.trainable_variables)

it = 0
for epoch in range(EPOCHS):
    dl = gl = 0.0
    for k, real in enumerate(dataset):
        # train D
        D.trainable = True
        fake = tf.stop_gradient(G(noise(BATCH, it, 1), training=True))
        with tf.GradientTape() as t:
            on_real = D(real, training=True)
            on_fake = D(fake, training=True)
            l_real = tf.reduce_mean(sce(labels=tf.fill(tf.shape(on_real), SMOOTH), logits=on_real))
            l_fake = tf.reduce_mean(tf.math.softplus(on_fake))
            l_d = (l_real + l_fake) / 2.0
        d_vars = D.trainable_variables
        opt_d.apply_gradients(zip(t.gradient(l_d, d_vars), d_vars))

        # train G, D frozen
        D.trainable = False
        with tf.GradientTape() as t:
            l_g = tf.reduce_mean(tf.math.softplus(-D(G(noise(BATCH, it, 2), training=True), training=True)))
        g_vars = G.trainable_variables
        opt_g.apply_gradients(zip(t.gradient(l_g, g_vars), g_vars))
        it += 1
        dl += float(l_d)
        gl += float(l_g)
    print(f"epoch {epoch + 1}: d_loss {dl / (k + 1):.4f}  g_loss {gl / (k + 1):.4f}")

z = tf.random.stateless_normal((500, LATENT), seed=[0, 0])
for name, g in (("fit", g0), ("loop", G)):
    s = g(z, training=False).numpy()
    print(name, "mean radius", np.linalg.norm(s, axis=1).mean())
