"""Rare sound events: every clip comes with a sample weight. The user customised fit through
train_step (to weigh the coarse and fine output) and asked where class/sample weights go: the
overridden step unpacks x and y and leaves the weights lying, so fit trains unweighted. The
stand-alone loop passes them to both losses.
"""
import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "weights_ignored"
SOURCE = "https://github.com/keras-team/keras/issues/15221"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "loss of the first batch"

bce_loss = keras.losses.BinaryCrossentropy()
EVENTS = 6


class SED(keras.Model):
    """functional model whose train_step mixes two resolutions"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tracker = keras.metrics.Mean(name="total")

    def train_step(self, data):
        x, y = data[0], data[1]
        with tf.GradientTape() as tape:
            fine, coarse = self(x, training=True)
            loss_fine = bce_loss(y["fine"], fine)
            loss_coarse = bce_loss(y["coarse"], coarse)
            loss = 1.0 * loss_fine + 0.1 * loss_coarse
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
        self.tracker.update_state(loss, sample_weight=tf.shape(x)[0])
        return {"total": self.tracker.result()}

    @property
    def metrics(self):
        return [self.tracker]


def build_model():
    keras.utils.set_random_seed(808)
    mel = keras.Input((32, 10))
    h = layers.Conv1D(16, 5, padding="same", activation="relu")(mel)
    h = layers.MaxPooling1D(4)(h)
    fine = layers.Dense(EVENTS, activation="sigmoid", name="fine")(h)
    coarse = layers.Dense(EVENTS, activation="sigmoid", name="coarse")(layers.GlobalMaxPooling1D()(h))
    return SED(mel, [fine, coarse])


def make_dataset(split):
    rng = np.random.default_rng(51 if split == "train" else 52)
    n = 330 if split == "train" else 90
    fine = np.zeros((n, 8, EVENTS), "float32")
    x = rng.normal(0, 0.5, (n, 32, 10)).astype("float32")
    rate = np.array([.4, .3, .2, .1, .05, .03])
    for i in range(n):
        for e in np.flatnonzero(rng.uniform(size=EVENTS) < rate):
            a = rng.integers(0, 7)
            fine[i, a:a + 2, e] = 1
            x[i, 4 * a:4 * a + 8, e] += 1.5
    coarse = fine.max(axis=1)
    w = 1.0 + 4.0 * coarse[:, 3:].max(axis=1)       # rare ones count five times
    y = {"fine": fine, "coarse": coarse}
    return tf.data.Dataset.from_tensor_slices((x, y, w.astype("float32"))).batch(15)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Nadam(2e-3))
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"total": h.history["total"]}


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Nadam(2e-3)
    log = {"total": []}

    @tf.function
    def step(x, y, w):
        with tf.GradientTape() as tape:
            fine, coarse = model(x, training=True)
            # the fine output has a time axis, the same weight for each frame
            loss = bce_loss(y["fine"], fine, sample_weight=w[:, None]) + \
                0.1 * bce_loss(y["coarse"], coarse, sample_weight=w)
        grads = tape.gradient(loss, model.trainable_variables)
        opt.apply_gradients(zip(grads, model.trainable_variables))
        return loss

    for e in range(epochs):
        num = den = 0.0
        for x, y, w in ds:
            num += float(step(x, y, w)) * x.shape[0]
            den += x.shape[0]
        log["total"].append(num / den)
        print("epoch", e, "total", round(num / den, 5))
    return model, log
