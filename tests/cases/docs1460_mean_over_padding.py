"""Situation of tensorflow/docs#1460: per-token losses are masked and then averaged with reduce_mean over all positions,
padding included in the denominator; Keras divides by the valid ones."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "weighted_mean_normalization"  # "mask_ignored" says the same in the catalogue's words (tf#39146)
SOURCE = "https://github.com/tensorflow/docs/pull/1460"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "loss"
VOCAB, LEN = 20, 14


def build_model():
    keras.utils.set_random_seed(21)
    tokens = keras.Input((LEN,), dtype="int32")
    x = layers.Embedding(VOCAB, 12, mask_zero=True)(tokens)
    x = layers.GRU(24, return_sequences=True)(x)
    return keras.Model(tokens, layers.Dense(VOCAB)(x))


def make_dataset(split):
    rng = np.random.default_rng(30 if split == "train" else 31)
    n = 200 if split == "train" else 50
    src, tgt = np.zeros((n, LEN), "int32"), np.zeros((n, LEN), "int32")
    for i in range(n):
        k = rng.integers(3, LEN + 1)
        s = rng.integers(1, VOCAB, k)
        src[i, :k] = s
        tgt[i, :k] = 1 + (np.cumsum(s) % (VOCAB - 1))
    return tf.data.Dataset.from_tensor_slices((src, tgt)).batch(25)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.3, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    sgd = keras.optimizers.SGD(0.3, momentum=0.9)
    token_ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)

    def masked_loss(target, logits):
        keep = tf.cast(target != 0, tf.float32)
        return tf.reduce_mean(token_ce(target, logits) * keep)

    @tf.function
    def step(src, tgt):
        with tf.GradientTape() as tape:
            loss = masked_loss(tgt, model(src, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        sgd.apply_gradients(zip(grads, model.trainable_variables))
        return loss

    log = {"loss": []}
    for _ in range(epochs):
        log["loss"].append(float(tf.reduce_mean([step(s, t) for s, t in ds])))
    return model, log
