"""GPU memory is short, so I collect the gradients of four mini-batches before a step. With fit and its
gradient_accumulation_steps=4 things are stable, my own version of it needs a much smaller learning rate.
"""

import keras
import numpy as np
import tensorflow as tf

ACCUM = 4


def build_model():
    keras.utils.set_random_seed(404)
    return keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(12, activation="elu"), keras.layers.Dense(1)]
    )


def make_dataset(split):
    rng = np.random.default_rng(40 if split == "train" else 41)
    n = 390 if split == "train" else 100
    x = rng.normal(size=(n, 6)).astype("float32")
    y = (x @ np.array([[1.0], [-1.0], [0.5], [0.0], [0.2], [0.0]]) + 0.3).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.SGD(0.02, gradient_accumulation_steps=ACCUM), "mse", jit_compile=False
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.SGD(0.02)
    mse = keras.losses.MeanSquaredError()
    tvs = model.trainable_variables
    buffers = [tf.Variable(tf.zeros(v.shape)) for v in tvs]
    seen_batches = 0  # goes on over the epochs
    log = {"loss": []}
    for _ in range(epochs):
        mean = keras.metrics.Mean()
        for x, y in ds:
            with tf.GradientTape() as tape:
                loss = mse(y, model(x, training=True))
            for buf, g in zip(buffers, tape.gradient(loss, tvs), strict=True):
                buf.assign_add(g)
            seen_batches += 1
            if seen_batches % ACCUM == 0:
                opt.apply_gradients(zip([tf.identity(b) for b in buffers], tvs, strict=True))
                for buf in buffers:
                    buf.assign(tf.zeros_like(buf))
            mean.update_state(loss, sample_weight=len(x))
        log["loss"].append(float(mean.result()))
    return log
