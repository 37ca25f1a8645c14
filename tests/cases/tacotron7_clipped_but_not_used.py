"""Situation of keithito/tacotron#7: the trainer clips its gradients, watches their norm, and applies those it had
before. The loss spikes now and then; with fit and global_clipnorm it does not."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "clipping_missing"
SOURCE = "https://github.com/keithito/tacotron/pull/7"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "update (which gradients are applied)"
MELS, FRAMES, CLIP = 6, 8, 0.2


def build_model():
    keras.utils.set_random_seed(707)
    text = keras.Input((FRAMES, 4))
    h = layers.Conv1D(16, 3, padding="causal", activation="relu")(text)
    h = layers.Conv1D(16, 3, padding="causal", activation="tanh")(h)
    return keras.Model(text, layers.Dense(MELS)(h))


def make_dataset(split):
    rng = np.random.default_rng(70 if split == "train" else 71)
    n = 192 if split == "train" else 48
    text = rng.normal(size=(n, FRAMES, 4)).astype("float32")
    mixing = np.random.default_rng(7).normal(size=(4, MELS))
    loudness = rng.lognormal(sigma=1.0, size=(n, 1, 1))
    mels = (loudness * np.cumsum(text, axis=1) @ mixing).astype("float32")
    return tf.data.Dataset.from_tensor_slices((text, mels)).batch(24)


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9, global_clipnorm=CLIP), loss="mae")
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, h.history


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
        self.norm = tf.Variable(0.0, trainable=False)

    @tf.function
    def train_step(self, text, mels):
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(mels - self.model(text, training=True)))
        gradients = tape.gradient(loss, variables)
        clipped_gradients, _ = tf.clip_by_global_norm(gradients, CLIP)
        self.norm.assign(tf.linalg.global_norm(clipped_gradients))
        self.optimizer.apply_gradients(zip(gradients, variables))
        return loss

    def run(self, ds, epochs):
        losses = []
        for _ in range(epochs):
            losses.append(float(np.mean([self.train_step(text, mels) for text, mels in ds])))
        return {"loss": losses}


def custom_loop(model, ds, epochs):
    return model, Trainer(model).run(ds, epochs)
