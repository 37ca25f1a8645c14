"""jit_compile=True step, SGD with Nesterov momentum, MAE; fit without XLA."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (287, 151) if split == "train" else (110, 152)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(28)


def build_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(16, activation="softplus"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.8, nesterov=True),
        loss="mae",
        jit_compile=False,
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.01, momentum=0.8, nesterov=True)
    optimizer.build(model.trainable_variables)
    loss_fn = keras.losses.MeanAbsoluteError()

    @tf.function(jit_compile=True)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        return loss

    out = []
    for _ in range(epochs):
        seen, acc = 0, 0.0
        for x, y in ds:
            acc += step(x, y).numpy() * x.shape[0]
            seen += x.shape[0]
        out.append(acc / seen)
    return out
