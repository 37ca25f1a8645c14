"""Set regression with a small attention block -- own loop.

No AdamW here: plain Adam, and the decay is done by hand on every weight (decoupled).
"""
import numpy as np
import tensorflow as tf
import keras

SEED, N, SET, DIM = 2024, 1200, 10, 6
BATCH, EPOCHS, PEAK, WD = 48, 6, 3e-3, 0.02

rng = np.random.default_rng(SEED)
x = rng.normal(size=(N, SET, DIM)).astype("float32")
y = (x[..., 0].max(1) + 0.5 * (x[..., 1] * x[..., 2]).mean(1) + 0.1 * rng.normal(size=N)).astype("float32")


class WarmCos(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak, total):
        self.peak = peak
        self.warm = float(max(1, total // 10))
        self.total = float(total)

    def __call__(self, step):
        s = tf.cast(step, tf.float32)
        rise = (s + 1.0) / self.warm
        fall = 0.5 + 0.5 * tf.cos(np.pi * (s - self.warm) / (self.total - self.warm))
        return self.peak * tf.where(s < self.warm, rise, fall)


class AttentionNet(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = keras.layers.Dense(24)
        self.att = keras.layers.MultiHeadAttention(2, 12, use_bias=False)
        self.norm = keras.layers.LayerNormalization()
        self.ff = keras.layers.Dense(24, "swish")
        self.out = keras.layers.Dense(1)

    def call(self, x):
        h = self.embed(x)
        h = self.norm(h + self.att(h, h))
        return self.out(tf.reduce_mean(self.ff(h), 1))


keras.utils.set_random_seed(SEED)
model = AttentionNet()
model(x[:1])          # build

total = -(-N // BATCH) * EPOCHS
schedule = WarmCos(PEAK, total)
adam = keras.optimizers.Adam(schedule)


@tf.function
def update(xb, yb):
    w = model.trainable_weights
    with tf.GradientTape() as tape:
        d = tf.squeeze(model(xb, training=True), -1) - yb
        loss = tf.reduce_mean(tf.square(d))
    grads = tape.gradient(loss, w)
    lr = schedule(adam.iterations)
    for v in w:
        v.assign(v * (1.0 - lr * WD))
    adam.apply_gradients(zip(grads, w))
    return loss


order = np.arange(N)
for epoch in range(EPOCHS):
    np.random.shuffle(order)
    total_loss = 0.0
    for start in range(0, N, BATCH):
        sel = order[start:start + BATCH]
        total_loss += float(update(tf.constant(x[sel]), tf.constant(y[sel]))) * len(sel)
    print(f"epoch {epoch + 1}/{EPOCHS} loss {total_loss / N:.4f}")

pred = model(x, training=False).numpy()[:, 0]
print("final mse", float(np.mean((pred - y) ** 2)))
