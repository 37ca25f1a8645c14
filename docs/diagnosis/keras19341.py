"""keras-team/keras#19341: "Difference in training with model.fit and with tf.GradientTape".

A regression with two SELU layers under MaxNorm constraints. The model is handed around as its
configuration and rebuilt where it is trained; the loop ends worse than fit. The thread settles on
two differences: the rebuilt model starts from weights of its own, and fit compiles its step with
XLA."""

import keras
import numpy as np
import tensorflow as tf

FEATURES = 13


def build_model():
    inputs = keras.Input((FEATURES,))
    x = inputs
    for _ in range(2):
        x = keras.layers.Dense(
            FEATURES,
            activation="selu",
            kernel_initializer="lecun_normal",
            kernel_constraint=keras.constraints.MaxNorm(2),
            bias_constraint=keras.constraints.MaxNorm(2),
        )(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def make_dataset(split):
    draw = np.random.default_rng(0 if split == "train" else 1)
    x = draw.normal(size=(500 if split == "train" else 120, FEATURES)).astype("float32")
    y = (x @ np.linspace(-1, 1, FEATURES) + np.sin(3 * x[:, 0]))[:, None].astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mse", metrics=["mae"])
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    model = keras.Model.from_config(model.get_config())
    optimizer = keras.optimizers.Adam(0.005)
    mse = keras.losses.MeanSquaredError()

    @tf.function(jit_compile=True)
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = mse(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights))

    for _ in range(epochs):
        for x, y in ds:
            train_step(x, y)
    return model
