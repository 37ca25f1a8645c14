"""
Tutorial: a tiny vector-quantised autoencoder, trained twice
=============================================================
Step 1 - the quantiser layer.  The codebook is not touched by the optimizer,
         it follows a moving average of the vectors assigned to each code.
Step 2 - encoder/decoder around it.
Step 3 - train with model.fit().
Step 4 - train with your own loop, to see what fit() does under the hood.
"""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import keras
from keras import layers, ops


# Step 1 ---------------------------------------------------------------------
class Quantiser(layers.Layer):
    def __init__(self, n_codes=12, dim=4, decay=0.95, beta=0.25, **kw):
        super().__init__(**kw)
        self.n_codes, self.dim = n_codes, dim
        self.decay, self.beta = decay, beta

    def build(self, shape):
        self.codes = self.add_weight(name="codes", shape=(self.n_codes, self.dim),
                                     initializer=keras.initializers.RandomNormal(stddev=0.5),
                                     trainable=False)
        self.count = self.add_weight(name="count", shape=(self.n_codes,),
                                     initializer="ones", trainable=False)
        self.total = self.add_weight(name="total", shape=(self.n_codes, self.dim),
                                     initializer="zeros", trainable=False)
        self.fresh = self.add_weight(name="fresh", shape=(), initializer="ones", trainable=False)

    def call(self, z, training=False):
        d = (ops.sum(z ** 2, 1, keepdims=True) - 2 * ops.matmul(z, ops.transpose(self.codes))
             + ops.sum(self.codes ** 2, 1))
        hit = ops.one_hot(ops.argmin(d, axis=1), self.n_codes)
        q = ops.matmul(hit, self.codes)
        self.add_loss(self.beta * ops.mean((ops.stop_gradient(q) - z) ** 2))
        if training:
            old = self.total + self.fresh * self.codes      # first call: start at the codes
            count = self.decay * self.count + (1 - self.decay) * ops.sum(hit, 0)
            total = self.decay * old + (1 - self.decay) * ops.matmul(
                ops.transpose(hit), ops.stop_gradient(z))
            self.count.assign(count)
            self.total.assign(total)
            self.codes.assign(total / (count[:, None] + 1e-5))
            self.fresh.assign(0.0)
        return z + ops.stop_gradient(q - z)


# Step 2 ---------------------------------------------------------------------
def vq_model():
    x = keras.Input((10,))
    h = layers.Dense(24, activation="swish")(x)
    z = layers.Dense(4)(h)
    q = Quantiser(name="vq")(z)
    h = layers.Dense(24, activation="swish")(q)
    return keras.Model(x, layers.Dense(10)(h))


def blobs(n, seed):
    g = np.random.default_rng(1234)
    c = 2 * g.standard_normal((8, 10))
    g = np.random.default_rng(seed)
    return (c[g.integers(0, 8, n)] + 0.3 * g.standard_normal((n, 10))).astype("float32")


x_train, x_val = blobs(500, 1), blobs(100, 2)
BATCH, EPOCHS = 64, 6

keras.utils.set_random_seed(5)
m_fit = vq_model()
m_loop = vq_model()
m_loop.set_weights(m_fit.get_weights())

# Step 3 ---------------------------------------------------------------------
m_fit.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse")
m_fit.fit(x_train, x_train, batch_size=BATCH, epochs=EPOCHS,
          validation_data=(x_val, x_val), verbose=2)

# Step 4 ---------------------------------------------------------------------
adam = keras.optimizers.Adam(3e-3)
ds = tf.data.Dataset.from_tensor_slices(x_train).shuffle(500).batch(BATCH)


@tf.function
def train_one(batch):
    with tf.GradientTape() as tape:
        rec = m_loop(batch, training=True)
        loss = tf.reduce_mean(tf.square(rec - batch)) + tf.add_n(m_loop.losses)
    weights = m_loop.trainable_weights
    adam.apply(tape.gradient(loss, weights), weights)
    return loss


@tf.function
def val_loss(batch):
    rec = m_loop(batch, training=False)
    return tf.reduce_mean(tf.square(rec - batch)) + tf.add_n(m_loop.losses)


for epoch in range(EPOCHS):
    weighted, rows = 0.0, 0
    for batch in ds:
        weighted += float(train_one(batch)) * len(batch)
        rows += len(batch)
    print(f"Epoch {epoch + 1}/{EPOCHS} - loss: {weighted / rows:.4f} "
          f"- val_loss: {float(val_loss(x_val)):.4f}")

used = [int((m.get_layer("vq").count.numpy() > 1).sum()) for m in (m_fit, m_loop)]
print("codes in use (fit, loop):", used)
