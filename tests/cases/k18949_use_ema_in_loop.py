"""Both optimizers are created with use_ema=True. During training everything agrees, but predictions afterwards do not:
the model of the loop is noisier.
"""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    keras.utils.set_random_seed(189)
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(1)(keras.layers.Dense(32, activation="relu")(x)))


def make_dataset(split):
    rng = np.random.default_rng(49 if split == "train" else 94)
    n = 250 if split == "train" else 80
    x = rng.uniform(-2, 2, (n, 4)).astype("float32")
    y = (x[:, :1] * x[:, 1:2] + rng.normal(size=(n, 1)) * 0.5).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


def get_optimizer():
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.95)


def keras_fit(model, ds, epochs):
    model.compile(get_optimizer(), loss="mse", jit_compile=False)
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = get_optimizer()
    loss_fn = keras.losses.MeanSquaredError()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        opt.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return loss

    log = {"loss": []}
    for _ in range(epochs):
        metric = keras.metrics.Mean()
        for x, y in ds:
            metric.update_state(step(x, y), sample_weight=tf.shape(x)[0])
        log["loss"].append(float(metric.result()))
    return model, log
