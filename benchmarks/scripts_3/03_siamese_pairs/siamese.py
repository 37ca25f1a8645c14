# Signature verification with a siamese net, Keras vs. own loop.
# My real data are scans, here only descriptors (48 numbers per signature) so that it can be run.
# Q: same start, same seeds, and the losses are always close, but the weights never come out the same. Only rounding??

import numpy as np
import tensorflow as tf
import keras
from keras import layers, ops

N_WRITERS = 30
PER_WRITER = 8
DIM = 48
BATCH = 32
EPOCHS = 10


def make_pairs(seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 1, (N_WRITERS, DIM))
    sig = centers[:, None, :] + rng.normal(0, 0.9, (N_WRITERS, PER_WRITER, DIM))
    left, right, same = [], [], []
    # genuine pairs, writer after writer ...
    for w in range(N_WRITERS):
        for i in range(PER_WRITER):
            for j in range(i + 1, PER_WRITER):
                left.append(sig[w, i]); right.append(sig[w, j]); same.append(1.0)
    # ... then the forgeries (other writer)
    for w in range(N_WRITERS):
        for k in range(28):
            v = (w + 1 + rng.integers(N_WRITERS - 1)) % N_WRITERS
            left.append(sig[w, k % PER_WRITER])
            right.append(sig[v, rng.integers(PER_WRITER)])
            same.append(0.0)
    return (np.array(left, "float32"), np.array(right, "float32"), np.array(same, "float32")[:, None])


def build():
    keras.utils.set_random_seed(1234)
    tower = keras.Sequential(
        [keras.Input((DIM,)), layers.Dense(32, activation="relu"), layers.Dense(12)], name="tower"
    )
    a = keras.Input((DIM,), name="left")
    b = keras.Input((DIM,), name="right")
    d = layers.Lambda(
        lambda t: ops.sqrt(ops.maximum(ops.sum(ops.square(t[0] - t[1]), axis=1, keepdims=True), 1e-7)),
        output_shape=(1,),
    )([tower(a), tower(b)])
    return keras.Model([a, b], d)


def contrastive(y, d, margin=2.0):
    return ops.mean(y * ops.square(d) + (1 - y) * ops.square(ops.maximum(margin - d, 0)), axis=-1)


left, right, same = make_pairs()
n = len(same)
print(n, "pairs,", int(same.sum()), "genuine")


def pairs():
    return tf.data.Dataset.from_tensor_slices(((left, right), same))


# ---------------------------------------------------------------- fit
fit_ds = pairs().cache().shuffle(n, seed=8).batch(BATCH).prefetch(tf.data.AUTOTUNE)

fit_model = build()
fit_model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=contrastive)
h = fit_model.fit(fit_ds, epochs=EPOCHS, verbose=0)

# ---------------------------------------------------------------- loop
# cache at the end of the pipeline: the batches need to be put together only once
loop_ds = pairs().shuffle(n, seed=8).batch(BATCH).cache().prefetch(tf.data.AUTOTUNE)

loop_model = build()
opt = keras.optimizers.Adam(3e-3)
opt.build(loop_model.trainable_variables)


@tf.function
def train_step(l, r, y):
    with tf.GradientTape() as tape:
        per_pair = contrastive(y, loop_model([l, r], training=True))
        loss = ops.mean(per_pair)
    opt.apply(tape.gradient(loss, loop_model.trainable_variables))
    return ops.sum(per_pair)


losses = []
for epoch in range(EPOCHS):
    s = 0.0
    for (l, r), y in loop_ds:
        s += float(train_step(l, r, y))
    losses.append(s / n)

for e in range(EPOCHS):
    print(f"epoch {e + 1:2d}   fit {h.history['loss'][e]:.5f}   loop {losses[e]:.5f}")


def accuracy(model, seed):
    l, r, y = make_pairs(seed)
    d = model.predict([l, r], verbose=0, batch_size=512)
    return float(np.mean((d < 1.0) == (y > 0.5)))


print("other writers: fit", accuracy(fit_model, 77), " loop", accuracy(loop_model, 77))
