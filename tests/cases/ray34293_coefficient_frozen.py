"""Situation of ray-project/ray#34293 (same kind: keras-team/keras#13826): a penalty coefficient is a Python number that
is raised from epoch to epoch, but the step is a tf.function: it keeps the value it was traced with (0). On the Keras
side it is a variable that a callback assigns. (Run as plain Python the loop would be right.)"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "python_value_frozen_in_trace"
SOURCE = "https://github.com/ray-project/ray/pull/34293"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "loss, second epoch"


def roughness(signal):
    return tf.reduce_mean(tf.square(signal[:, 1:] - signal[:, :-1]))


def warmup(epoch):
    return min(2.0, 0.5 * epoch)


def build_model():
    keras.utils.set_random_seed(31)
    return keras.Sequential(
        [keras.Input((32,)), layers.Dense(40, activation="relu"), layers.Dense(32)]
    )


def make_dataset(split):
    rng = np.random.default_rng(60 if split == "train" else 61)
    n = 640 if split == "train" else 128
    t = np.linspace(0, 2 * np.pi, 32)
    clean = np.sin(t[None] * rng.integers(1, 4, (n, 1)) + rng.uniform(0, 6, (n, 1)))
    noisy = clean + rng.normal(0, 0.5, clean.shape)
    return tf.data.Dataset.from_tensor_slices(
        (noisy.astype("float32"), clean.astype("float32"))
    ).batch(32)


def keras_fit(model, ds, epochs):
    weight = tf.Variable(0.0, trainable=False)

    def objective(y, p):
        return tf.reduce_mean(tf.square(y - p)) + weight * roughness(p)

    model.compile(optimizer=keras.optimizers.SGD(0.5), loss=objective)
    raise_it = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: weight.assign(warmup(epoch))
    )
    h = model.fit(ds, epochs=epochs, callbacks=[raise_it], verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.SGD(0.5)
    weight = 0.0

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            p = model(x, training=True)
            loss = tf.reduce_mean(tf.square(y - p)) + weight * roughness(p)
        opt.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        return loss

    log = {"loss": []}
    for epoch in range(epochs):
        weight = warmup(epoch)
        log["loss"].append(float(np.mean([train_step(x, y) for x, y in ds])))
    return model, log
