# Retrieval with two towers and in-batch negatives (InfoNCE), learnable temperature.
# fit() needs a y, so it gets zeros that nobody looks at.
import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(99)
N_USERS, N_ITEMS, DIM, BATCH, EPOCHS = 300, 200, 12, 64, 8

# ---- synthetic clicks
rng = np.random.default_rng(99)
taste_u = rng.normal(size=(N_USERS, 4))
taste_i = rng.normal(size=(N_ITEMS, 4))
users = rng.integers(0, N_USERS, 2500).astype("int32")
p = np.exp(1.5 * taste_u[users] @ taste_i.T)
p /= p.sum(1, keepdims=True)
items = (p.cumsum(1) > rng.random((len(users), 1))).argmax(1).astype("int32")


class AtLeast(keras.constraints.Constraint):
    def __init__(self, low):
        self.low = low

    def __call__(self, w):
        return keras.ops.maximum(w, self.low)


class Similarity(layers.Layer):
    """cosine similarity of every user with every item of the batch, divided by a temperature"""

    def build(self, shapes):
        self.temperature = self.add_weight(shape=(), initializer=keras.initializers.Constant(0.2),
                                           constraint=AtLeast(0.12), name="temperature")

    def call(self, inputs):
        u, v = inputs
        u = keras.ops.normalize(u, axis=-1)
        v = keras.ops.normalize(v, axis=-1)
        return keras.ops.matmul(u, keras.ops.transpose(v)) / self.temperature


def towers():
    u = keras.Input((), dtype="int32", name="user")
    i = keras.Input((), dtype="int32", name="item")
    eu = layers.Dense(DIM)(layers.Embedding(N_USERS, 16)(u))
    ei = layers.Dense(DIM)(layers.Embedding(N_ITEMS, 16)(i))
    return u, i, eu, ei


# ---- A: keras
u, i, eu, ei = towers()
model = keras.Model([u, i], Similarity()([eu, ei]))


def info_nce(_, sim):
    return keras.losses.sparse_categorical_crossentropy(tf.range(tf.shape(sim)[0]), sim, from_logits=True)


start = model.get_weights()
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss=info_nce)
model.fit([users, items], np.zeros(len(users)), batch_size=BATCH, epochs=EPOCHS, verbose=2)

# ---- B: loop, towers only; the temperature is a plain variable
u, i, eu, ei = towers()
enc = keras.Model([u, i], [eu, ei])
enc.set_weights(start[:-1])
tau = tf.Variable(start[-1])
opt = keras.optimizers.Adam(5e-3)
params = enc.trainable_variables + [tau]
opt.build(params)


def unit(t):
    return t / tf.norm(t, axis=1, keepdims=True)


for epoch in range(EPOCHS):
    perm = np.random.permutation(len(users))
    log = []
    for s in range(0, len(perm), BATCH):
        b = perm[s:s + BATCH]
        with tf.GradientTape() as tape:
            a, c = enc([users[b], items[b]], training=True)
            sim = tf.einsum("id,jd->ij", unit(a), unit(c)) / tau
            loss = -tf.reduce_mean(tf.linalg.diag_part(tf.nn.log_softmax(sim, axis=1)))
        grads = tape.gradient(loss, params)
        opt.apply_gradients(zip(grads, params))
        tau.assign(tf.maximum(tau, 0.12))
        log.append(loss.numpy())
    print("epoch", epoch, "loss", np.mean(log), "tau", float(tau))

print("temperature after fit:", model.get_weights()[-1], " after loop:", tau.numpy())
