"""Small beta-VAE on 8x8 blobs with KL warm-up, after a thread where people anneal the KL
weight and find that the whole run is trained with the first value. Here the hand-written
step is a tf.function which closes over the plain float `kl_weight`; it is traced in epoch
one (0.0) and never sees the later values. The fit side keeps the weight in a tf.Variable.
"""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "python_value_frozen_in_trace"
SOURCE = "https://github.com/keras-team/keras/issues/13826"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "loss and update of the first step of the second epoch (graph mode only)"

LATENT = 3


def warmup(epoch):
    return min(2.0, 1.0 * epoch)


class VAE(keras.Model):
    def __init__(self, **kw):
        super().__init__(**kw)
        self.enc = keras.Sequential([layers.Dense(48, activation="relu"), layers.Dense(2 * LATENT)])
        self.dec = keras.Sequential([layers.Dense(48, activation="relu"), layers.Dense(64)])
        self.noise = keras.random.SeedGenerator(77)
        self.trackers = [keras.metrics.Mean(name=n) for n in ("total", "rec", "kl")]
        self.kl_weight = None

    @property
    def metrics(self):
        return self.trackers

    def call(self, x, training=None):
        mu, logvar = tf.split(self.enc(x), 2, axis=-1)
        eps = keras.random.normal((tf.shape(mu)[0], LATENT), seed=self.noise)
        return self.dec(mu + tf.exp(0.5 * logvar) * eps), mu, logvar

    def parts(self, x, y):
        logits, mu, logvar = self(x, training=True)
        rec = tf.reduce_mean(tf.reduce_sum(
            tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits), axis=-1))
        kl = -0.5 * tf.reduce_mean(tf.reduce_sum(1 + logvar - mu ** 2 - tf.exp(logvar), axis=-1))
        return rec, kl

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            rec, kl = self.parts(x, y)
            total = rec + self.kl_weight * kl
        grads = tape.gradient(total, self.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
        for t, v in zip(self.trackers, (total, rec, kl)):
            t.update_state(v)
        return {t.name: t.result() for t in self.trackers}


def build_model():
    keras.utils.set_random_seed(5)
    vae = VAE()
    vae(np.zeros((2, 64), "float32"))
    return vae


def make_dataset(split):
    rng = np.random.default_rng(0 if split == "train" else 1)
    n = 640 if split == "train" else 160
    gx, gy = np.meshgrid(np.arange(8), np.arange(8))
    c = rng.uniform(1.5, 6.5, size=(n, 2, 1, 1))
    img = np.exp(-((gx - c[:, 0]) ** 2 + (gy - c[:, 1]) ** 2) / 3.0).reshape(n, 64).astype("float32")
    return tf.data.Dataset.from_tensor_slices((img, img)).batch(32)


def keras_fit(model, ds, epochs):
    model.kl_weight = tf.Variable(0.0, trainable=False)
    model.compile(optimizer=keras.optimizers.Adam(2e-3), jit_compile=False)
    cb = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.kl_weight.assign(warmup(epoch)))
    hist = model.fit(ds, epochs=epochs, callbacks=[cb], verbose=0)
    return model, {k: hist.history[k] for k in ("total", "rec", "kl")}


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(2e-3)
    kl_weight = 0.0
    log = {"total": [], "rec": [], "kl": []}

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            rec, kl = model.parts(x, y)
            total = rec + kl_weight * kl
        grads = tape.gradient(total, model.trainable_variables)
        opt.apply_gradients(zip(grads, model.trainable_variables))
        return total, rec, kl

    for epoch in range(epochs):
        kl_weight = warmup(epoch)
        rows = [[float(v) for v in step(x, y)] for x, y in ds]
        for name, v in zip(log, np.mean(rows, axis=0)):
            log[name].append(float(v))
        print(f"epoch {epoch}: beta {kl_weight:.2f}  total {log['total'][-1]:.3f}")
    return model, log
