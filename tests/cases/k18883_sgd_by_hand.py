"""For teaching I replaced the optimizer by `w -= lr * g`. Should be the same as SGD, but my dose-response net gets
negative weights, which fit never shows.
"""

import keras
import numpy as np
import tensorflow as tf

LR = 0.03


def build_model():
    keras.utils.set_random_seed(18)
    dose = keras.Input((5,))
    hid = keras.layers.Dense(
        10, activation="softplus", kernel_constraint=keras.constraints.NonNeg()
    )(dose)
    return keras.Model(
        dose, keras.layers.Dense(1, kernel_constraint=keras.constraints.NonNeg())(hid)
    )


def make_dataset(split):
    rng = np.random.default_rng(88 if split == "train" else 83)
    n = 320 if split == "train" else 96
    d = rng.random((n, 5)).astype("float32")
    r = (np.log1p(d.sum(1, keepdims=True)) + 0.05 * rng.normal(size=(n, 1))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((d, r)).batch(25)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(LR), loss="mean_squared_error", jit_compile=False)
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    train_losses = []
    for _ in range(epochs):
        tot, cnt = 0.0, 0
        for d, r in ds:
            with tf.GradientTape() as tape:
                mse = tf.reduce_mean(tf.math.squared_difference(model(d, training=True), r))
            for w, g in zip(
                model.trainable_variables,
                tape.gradient(mse, model.trainable_variables),
                strict=True,
            ):
                w.assign(w - LR * g)
            tot += float(mse) * d.shape[0]
            cnt += d.shape[0]
        train_losses.append(tot / cnt)
    return train_losses
