# Coursework: "implement Adam yourself, then show you get what Keras gets".
# My numbers are never *exactly* those of fit. Is my Adam wrong?
import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers

N_EPOCHS = 6
BS = 48
LR0, DECAY_EVERY, DECAY = 4e-3, 40, 0.9
B1, B2, EPS = 0.9, 0.999, 1e-7
MAX_NORM = 0.8

# ------------------------------------------------------------------ data
# strength of concrete out of seven ingredients, simulated
rng = np.random.default_rng(20)
mix = rng.gamma(2.0, 1.0, size=(1130, 7)).astype("float32")
age = rng.choice([3, 7, 14, 28, 56, 90], size=1130).astype("float32")
strength = (
    9 * np.log1p(age) + 4 * mix[:, 0] - 5 * mix[:, 3] / (mix[:, 0] + 0.3)
    + 1.5 * mix[:, 1] * (mix[:, 4] > 2) + rng.normal(0, 2, 1130)
).astype("float32")
X = np.c_[mix, np.log1p(age)].astype("float32")
X_tr, X_te = X[:900], X[900:]
y_tr, y_te = strength[:900], strength[900:]
mu, sd = X_tr.mean(0), X_tr.std(0)
X_tr, X_te = (X_tr - mu) / sd, (X_te - mu) / sd
y_mu, y_sd = y_tr.mean(), y_tr.std()
y_tr, y_te = (y_tr - y_mu) / y_sd, (y_te - y_mu) / y_sd


def net():
    i = keras.Input((8,))
    h = layers.Dense(32, activation="gelu")(i)
    h = layers.LayerNormalization()(h)
    h = layers.Dense(16, activation="gelu")(h)
    return keras.Model(i, layers.Dense(1)(h))


# ------------------------------------------------------------------ Keras
ref = net()
ref.compile(
    optimizer=keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(LR0, DECAY_EVERY, DECAY, staircase=True),
        global_clipnorm=MAX_NORM,
    ),
    loss="huber",
    metrics=["mae"],
)
hist = ref.fit(X_tr, y_tr, batch_size=BS, epochs=N_EPOCHS, validation_data=(X_te, y_te), verbose=0)

# ------------------------------------------------------------------ by hand
mine = net()
params = mine.trainable_variables
mom = [tf.Variable(tf.zeros(p.shape)) for p in params]
vel = [tf.Variable(tf.zeros(p.shape)) for p in params]
t = tf.Variable(0, dtype=tf.int64)


def huber(y, p):
    e = tf.abs(y - tf.squeeze(p, -1))
    return tf.where(e <= 1.0, 0.5 * e ** 2, e - 0.5)


@tf.function
def update(xb, yb):
    with tf.GradientTape() as tape:
        per_row = huber(yb, mine(xb, training=True))
        loss = tf.reduce_sum(per_row) / tf.cast(tf.shape(xb)[0], tf.float32)
    g = tape.gradient(loss, params)

    # together, not one by one
    total = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(q)) for q in g]))
    g = [q * (MAX_NORM / tf.maximum(total, MAX_NORM)) for q in g]

    # learning rate of this update
    stairs = tf.cast(t // DECAY_EVERY, tf.float32)
    lr = LR0 * tf.pow(DECAY, stairs)

    t.assign_add(1)
    k = tf.cast(t, tf.float32)
    # bias corrections, both moved to the step size
    step = lr * tf.sqrt(1.0 - tf.pow(B2, k)) / (1.0 - tf.pow(B1, k))
    for p, q, m, v in zip(params, g, mom, vel):
        m.assign(B1 * m + (1 - B1) * q)
        v.assign(B2 * v + (1 - B2) * q * q)
        p.assign_sub(step * m / (tf.sqrt(v) + EPS))
    return per_row


log = {"loss": [], "val_loss": [], "val_mae": []}
for epoch in range(N_EPOCHS):
    order = np.random.permutation(len(X_tr))
    seen = []
    for s in range(math.ceil(len(order) / BS)):
        idx = order[s * BS:(s + 1) * BS]
        seen.append(update(tf.constant(X_tr[idx]), tf.constant(y_tr[idx])).numpy())
    p_te = mine(X_te, training=False)
    log["loss"].append(float(np.concatenate(seen).mean()))
    log["val_loss"].append(float(tf.reduce_mean(huber(y_te, p_te))))
    log["val_mae"].append(float(np.abs(y_te - p_te.numpy()[:, 0]).mean()))

for e in range(N_EPOCHS):
    print(f"{e + 1}  fit {hist.history['loss'][e]:.5f} / {hist.history['val_loss'][e]:.5f} / {hist.history['val_mae'][e]:.5f}"
          f"   own {log['loss'][e]:.5f} / {log['val_loss'][e]:.5f} / {log['val_mae'][e]:.5f}")
