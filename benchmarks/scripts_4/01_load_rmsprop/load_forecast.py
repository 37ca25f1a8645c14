"""
Sec. 4.2 -- one-step-ahead forecast of feeder load, recurrent baseline.

Reproduces the two rows "GRU / keras" and "GRU / ours" of the table.  The
"ours" row does not rely on keras.optimizers because in Sec. 5 the update rule
gets a per-feeder preconditioner; here the preconditioner is the identity.
"""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import keras

T = 24            # history length
N_HOURS = 620
BS = 48
EPOCHS = 6
ETA0, RHO, MU, EPS = 3e-3, 0.9, 0.6, 1e-7


def feeder(n, seed):
    g = np.random.default_rng(seed)
    t = np.arange(n)
    base = 1.3 * np.sin(2 * np.pi * t / 24) + 0.4 * np.sin(2 * np.pi * t / 168 + 0.7)
    ar = np.zeros(n)
    for k in range(1, n):
        ar[k] = 0.8 * ar[k - 1] + 0.25 * g.standard_normal()
    temp = np.roll(base, 5) + 0.2 * g.standard_normal(n)
    return np.stack([base + ar, temp], axis=1).astype("float32")


def windows(z):
    n = len(z) - T
    idx = np.arange(T)[None, :] + np.arange(n)[:, None]
    return z[idx], z[T:, :1]


def eta(epoch):
    return ETA0 * 0.5 ** (epoch // 2)


def make_net():
    i = keras.Input((T, 2))
    h = keras.layers.GRU(12)(i)
    h = keras.layers.Dense(8, activation="gelu")(h)
    return keras.Model(i, keras.layers.Dense(1)(h))


z = feeder(N_HOURS, seed=11)
cut = 480
mu, sd = z[:cut].mean(0), z[:cut].std(0)
z = (z - mu) / sd
X, Y = windows(z[:cut])
Xt, Yt = windows(z[cut:])

# ------------------------------------------------------------------ keras row
net_k = make_net()
net_o = make_net()
net_o.set_weights(net_k.get_weights())

net_k.compile(
    optimizer=keras.optimizers.RMSprop(ETA0, rho=RHO, momentum=MU, epsilon=EPS),
    loss="log_cosh",
)
net_k.fit(
    X, Y, batch_size=BS, epochs=EPOCHS, verbose=0,
    callbacks=[keras.callbacks.LearningRateScheduler(lambda e, _: eta(e))],
)

# ------------------------------------------------------------------- our row
theta = net_o.trainable_variables
S = [tf.Variable(tf.zeros_like(p)) for p in theta]     # second moments
V = [tf.Variable(tf.zeros_like(p)) for p in theta]     # velocities
step_size = tf.Variable(0.0)
LN2 = tf.math.log(2.0)


def objective(y, f):
    r = f - y
    return tf.reduce_mean(r + tf.nn.softplus(-2.0 * r) - LN2)


@tf.function
def update(xb, yb):
    with tf.GradientTape() as tape:
        L = objective(yb, net_o(xb, training=True))
    for p, g, s, v in zip(theta, tape.gradient(L, theta), S, V):
        s.assign_add((1.0 - RHO) * (tf.square(g) - s))
        v.assign(MU * v + step_size * g / tf.sqrt(s + EPS))
        p.assign_sub(v)
    return L


order = np.random.default_rng(5)
for ep in range(EPOCHS):
    step_size.assign(eta(ep))
    perm = order.permutation(len(X))
    tot = 0.0
    for k in range(0, len(perm), BS):
        j = perm[k:k + BS]
        tot += float(update(X[j], Y[j])) * len(j)
    print(f"[ours] epoch {ep}  eta={float(step_size):.2e}  L={tot / len(X):.5f}")


def mae(net):
    f = net.predict(Xt, verbose=0)
    return float(np.abs(f - Yt).mean() * sd[0])


print("MAE keras %.4f   ours %.4f" % (mae(net_k), mae(net_o)))
