"""
beta-VAE with KL warm-up on the 8x8 digits, twice: as a Model with its own train_step
(and a callback for the warm-up) and as the plain loop from my thesis.

The KL of the fit version stays enormous, as in a plain auto-encoder; that of the
loop is fine. Same encoder, same decoder, same optimizer, and beta is in the history!
"""
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits

LATENT = 4
EPOCHS = 8
WARMUP = 5
BETA_MAX = 0.5

digits = (load_digits().data / 16.0).astype("float32")
x_train, x_test = digits[:1536], digits[1536:1792]


def beta_at(epoch):
    return BETA_MAX * min(1.0, epoch / WARMUP)


def make_encoder():
    i = keras.Input((64,))
    h = layers.Dense(48, activation="relu")(i)
    return keras.Model(i, [layers.Dense(LATENT)(h), layers.Dense(LATENT)(h)], name="encoder")


def make_decoder():
    z = keras.Input((LATENT,))
    h = layers.Dense(48, activation="relu")(z)
    return keras.Model(z, layers.Dense(64)(h), name="decoder")


def elbo_parts(x, mean, logvar, logits):
    rec = ops.sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits), axis=1)
    kl = -0.5 * ops.sum(1 + logvar - ops.square(mean) - ops.exp(logvar), axis=1)
    return ops.mean(rec), ops.mean(kl)


def noise(shape):
    return tf.random.normal(shape)


# ----------------------------------------------------------------- fit version
class VAE(keras.Model):
    def __init__(self, **kw):
        super().__init__(**kw)
        self.encoder = make_encoder()
        self.decoder = make_decoder()
        self.beta = 0.0
        self.trackers = {k: keras.metrics.Mean(name=k) for k in ("loss", "rec", "kl")}

    @property
    def metrics(self):
        return list(self.trackers.values())

    def forward(self, x, sample=True):
        mean, logvar = self.encoder(x)
        z = mean
        if sample:
            z = z + ops.exp(0.5 * logvar) * noise(ops.shape(mean))
        return mean, logvar, self.decoder(z)

    def call(self, x):
        return self.forward(x, sample=False)[2]

    def train_step(self, x):
        with tf.GradientTape() as tape:
            mean, logvar, logits = self.forward(x)
            rec, kl = elbo_parts(x, mean, logvar, logits)
            loss = rec + self.beta * kl
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(grads, self.trainable_variables)
        return self._log(loss, rec, kl)

    def test_step(self, x):
        mean, logvar, logits = self.forward(x, sample=False)
        rec, kl = elbo_parts(x, mean, logvar, logits)
        return self._log(rec + BETA_MAX * kl, rec, kl)

    def _log(self, *values):
        for m, v in zip(self.metrics, values):
            m.update_state(v)
        return {m.name: m.result() for m in self.metrics}


class WarmUp(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.beta = beta_at(epoch)

    def on_epoch_end(self, epoch, logs=None):
        logs["beta"] = self.model.beta        # so that it is in the history: it does go up


vae = VAE()
vae.compile(optimizer=keras.optimizers.Adam(2e-3))
hist = vae.fit(x_train, batch_size=64, epochs=EPOCHS, validation_data=(x_test,), callbacks=[WarmUp()], verbose=0)

# ----------------------------------------------------------------- loop version
enc, dec = make_encoder(), make_decoder()
adam = keras.optimizers.Adam(2e-3)
weights = enc.trainable_variables + dec.trainable_variables
data = tf.data.Dataset.from_tensor_slices(x_train).shuffle(1536).batch(64)


@tf.function
def step(x, beta):
    with tf.GradientTape() as tape:
        mean, logvar = enc(x, training=True)
        z = mean + tf.exp(0.5 * logvar) * noise(tf.shape(mean))
        rec, kl = elbo_parts(x, mean, logvar, dec(z, training=True))
        loss = rec + beta * kl
    adam.apply_gradients(zip(tape.gradient(loss, weights), weights))
    return loss, rec, kl


loop_hist = []
for epoch in range(EPOCHS):
    beta = tf.constant(beta_at(epoch), tf.float32)
    parts = np.array([[float(v) for v in step(x, beta)] for x in data])
    m, lv = enc(x_test)
    r, k = elbo_parts(x_test, m, lv, dec(m))
    loop_hist.append((*parts.mean(0), float(r), float(k)))      # 1536 = 24 * 64, so a plain mean will do

print("epoch  beta   fit: rec   kl   val_rec  val_kl    loop: rec   kl   val_rec  val_kl")
for e in range(EPOCHS):
    h = {k: v[e] for k, v in hist.history.items()}
    l = loop_hist[e]
    print(f"{e + 1:4d}  {h['beta']:5.2f}  {h['rec']:9.3f} {h['kl']:6.3f} {h['val_rec']:7.3f} {h['val_kl']:6.3f}"
          f"   {l[1]:9.3f} {l[2]:6.3f} {l[3]:7.3f} {l[4]:6.3f}")
