"""I moved from a generator with batches of 64 to a Dataset with batches of 32 and kept my step count for fit.

Since then fit lags behind my own loop.
"""

import keras
import numpy as np
import tensorflow as tf

NUM_TRAIN = 500
steps_per_epoch = NUM_TRAIN // 64


def build_model():
    keras.utils.set_random_seed(8)
    a = keras.Input((8,))
    b = keras.layers.Dense(16, activation="relu")(a)
    c = keras.layers.Dense(1, activation="sigmoid")(b)
    return keras.Model(a, c)


def make_dataset(split):
    g = np.random.default_rng(20 if split == "train" else 21)
    n = NUM_TRAIN if split == "train" else 200
    x = g.normal(size=(n, 8)).astype("float32")
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype("float32").reshape(-1, 1)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.RMSprop(2e-3),
        "binary_crossentropy",
        metrics=["binary_accuracy"],
        jit_compile=False,
    )
    return model.fit(ds.take(steps_per_epoch), epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optim = keras.optimizers.RMSprop(2e-3)
    bce = keras.losses.BinaryCrossentropy()
    out = {"loss": [], "binary_accuracy": []}
    for ep in range(epochs):
        loss_m, acc_m = keras.metrics.Mean(), keras.metrics.BinaryAccuracy()
        for xb, yb in ds:
            with tf.GradientTape() as tape:
                p = model(xb, training=True)
                lv = bce(yb, p)
            g = tape.gradient(lv, model.trainable_variables)
            optim.apply_gradients(zip(g, model.trainable_variables, strict=True))
            loss_m.update_state(lv, sample_weight=len(xb))
            acc_m.update_state(yb, p)
        out["loss"].append(float(loss_m.result()))
        out["binary_accuracy"].append(float(acc_m.result()))
        if ep % 10 == 9:
            print("epoch", ep, out["loss"][-1])
    return model, out
