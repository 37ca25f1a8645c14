"""Recurrent regression that used to explode, so gradients are clipped to norm 0.1 in both versions.

Learning is visibly slower in the GradientTape version.
"""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    keras.utils.set_random_seed(29)
    seq = keras.Input((10, 3))
    h = keras.layers.SimpleRNN(12)(seq)
    h = keras.layers.Dense(8, activation="tanh")(h)
    return keras.Model(seq, keras.layers.Dense(1)(h))


def make_dataset(split):
    rng = np.random.default_rng(2 if split == "train" else 22)
    n = 310 if split == "train" else 90
    s = rng.normal(size=(n, 10, 3)).astype("float32")
    target = s[:, -3:, 0].sum(1, keepdims=True) * 2 + 1
    return tf.data.Dataset.from_tensor_slices((s, target.astype("float32"))).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.SGD(learning_rate=0.1, clipnorm=0.1), loss="mse", jit_compile=False
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.SGD(learning_rate=0.1)
    mse = keras.losses.MeanSquaredError()
    history = []

    @tf.function
    def step(s, target):
        with tf.GradientTape() as tape:
            loss = mse(target, model(s, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        grads, _ = tf.clip_by_global_norm(grads, 0.1)
        opt.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return loss

    for _ in range(epochs):
        num = den = 0.0
        for s, target in ds:
            num += float(step(s, target)) * len(s)
            den += len(s)
        history.append(num / den)
    return model, history
