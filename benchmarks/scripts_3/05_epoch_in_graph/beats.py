"""ECG beats, 1-D convnet.

Our cluster hates Python overhead, so a complete epoch is ONE graph call here (tf.while_loop inside a
tf.function, data stay on the device as constants). Nesterov is written out because keras optimizers inside a
while_loop used to make trouble. Reference: the same net with compile() and fit().
"""
import time

import numpy as np
import tensorflow as tf
import keras

B = 48
EPOCHS = 9
MOMENTUM = 0.9
BASE_LR = 0.02


def lr_for(epoch, lr=None):
    # 0-based epochs, halve after 3 and again after 6
    return BASE_LR * 0.5 ** (epoch // 3)


def beats(n=500, seed=12):
    r = np.random.default_rng(seed)
    t = np.linspace(-1, 1, 64)
    kind = r.integers(0, 3, n)
    width = np.array([0.08, 0.2, 0.08])[kind] * r.uniform(0.8, 1.2, n)
    sign = np.array([1.0, 1.0, -0.7])[kind]
    x = sign[:, None] * np.exp(-(t[None] - r.normal(0, .1, n)[:, None]) ** 2 / width[:, None] ** 2)
    x += 0.2 * np.exp(-(t[None] - 0.55) ** 2 / 0.02) + r.normal(0, 0.25, (n, 64))
    return x[..., None].astype("float32"), kind.astype("int32")


def net():
    keras.utils.set_random_seed(2)
    reg = keras.regularizers.L2(2e-3)
    return keras.Sequential([
        keras.Input((64, 1)),
        keras.layers.Conv1D(8, 7, strides=2, use_bias=False, kernel_regularizer=reg),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.ReLU(),
        keras.layers.Conv1D(12, 5, strides=2, activation="relu", kernel_regularizer=reg),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(3),
    ])


X, Y = beats()
N = len(X)                      # 500 = 10 * 48 + 20, the last batch is smaller

# ---- reference --------------------------------------------------------------------------------
ref = net()
ref.compile(
    optimizer=keras.optimizers.SGD(BASE_LR, momentum=MOMENTUM, nesterov=True),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
t0 = time.perf_counter()
hist = ref.fit(X, Y, batch_size=B, epochs=EPOCHS, shuffle=False, verbose=0,
               callbacks=[keras.callbacks.LearningRateScheduler(lr_for)])
print(f"fit    {time.perf_counter() - t0:.1f} s")

# ---- one graph per epoch ----------------------------------------------------------------------
own = net()
params = own.trainable_variables
velocity = [tf.Variable(tf.zeros(p.shape), trainable=False) for p in params]
lr = tf.Variable(BASE_LR, trainable=False)
x_all, y_all = tf.constant(X), tf.constant(Y)


def body(i, total):
    xb = x_all[i * B:(i + 1) * B]
    yb = y_all[i * B:(i + 1) * B]
    with tf.GradientTape() as tape:
        out = own(xb, training=True)
        ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=yb, logits=out)
        loss = tf.reduce_mean(ce) + tf.add_n(own.losses)
    for p, v, g in zip(params, velocity, tape.gradient(loss, params)):
        v.assign(MOMENTUM * v - lr * g)
        p.assign_add(MOMENTUM * v - lr * g)      # look-ahead form, as in Sutskever et al.
    return i + 1, total + loss * tf.cast(tf.shape(xb)[0], tf.float32)


@tf.function
def epoch_fn():
    steps = -(-N // B)
    _, total = tf.while_loop(
        lambda i, total: i < steps, body, (tf.constant(0), tf.constant(0.0)),
        parallel_iterations=1,
    )
    return total / N


t0 = time.perf_counter()
mine = []
for epoch in range(EPOCHS):
    lr.assign(lr_for(epoch))
    mine.append(float(epoch_fn()))
print(f"graph  {time.perf_counter() - t0:.1f} s")

for e in range(EPOCHS):
    print(f"{e + 1}  {hist.history['loss'][e]:.6f}  {mine[e]:.6f}")
gap = max(float(np.abs(a - b).max()) for a, b in zip(ref.get_weights(), own.get_weights()))
print("largest difference of a weight:", gap)
