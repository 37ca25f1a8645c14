"""Set regression with a small attention block -- keras version.

AdamW, linear warm-up for the first 10 % of the steps, then cosine to zero, set batch by batch.
"""
import math

import numpy as np
import keras
from keras import layers, ops

SEED, N, SET, DIM = 2024, 1200, 10, 6
BATCH, EPOCHS, PEAK, WD = 48, 6, 3e-3, 0.02

rng = np.random.default_rng(SEED)
x = rng.normal(size=(N, SET, DIM)).astype("float32")
y = (x[..., 0].max(1) + 0.5 * (x[..., 1] * x[..., 2]).mean(1) + 0.1 * rng.normal(size=N)).astype("float32")


def attention_net():
    keras.utils.set_random_seed(SEED)
    embed = layers.Dense(24)
    attend = layers.MultiHeadAttention(num_heads=2, key_dim=12, use_bias=False)
    norm = layers.LayerNormalization()
    feed_forward = layers.Dense(24, activation="swish")
    head = layers.Dense(1)

    i = keras.Input((SET, DIM))
    h = embed(i)
    h = norm(layers.add([h, attend(h, h)]))
    h = ops.mean(feed_forward(h), axis=1)
    return keras.Model(i, head(h))


class WarmupCosine(keras.callbacks.Callback):
    def __init__(self, peak, total):
        super().__init__()
        self.peak, self.total, self.warm, self.n = peak, total, max(1, total // 10), 0

    def on_train_batch_begin(self, batch, logs=None):
        if self.n < self.warm:
            lr = self.peak * (self.n + 1) / self.warm
        else:
            lr = 0.5 * self.peak * (1 + math.cos(math.pi * (self.n - self.warm) / (self.total - self.warm)))
        self.model.optimizer.learning_rate = lr
        self.n += 1


model = attention_net()
model.compile(keras.optimizers.AdamW(learning_rate=0.0, weight_decay=WD), loss="mean_squared_error")
steps = math.ceil(N / BATCH) * EPOCHS
model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, callbacks=[WarmupCosine(PEAK, steps)], verbose=2)
print("final mse", model.evaluate(x, y, verbose=0))
