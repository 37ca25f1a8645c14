"""Activity and L1L2 regularizers through sum(model.losses); the losses logged on train and test include them."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (270, 751) if split == "train" else (110, 752)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def build_model():
    inputs = keras.Input((6,))
    h = layers.Dense(
        20,
        activation="relu",
        kernel_regularizer=keras.regularizers.L1L2(1e-3, 1e-3),
        activity_regularizer=keras.regularizers.L2(1e-2),
    )(inputs)
    return keras.Model(inputs, layers.Dense(1)(h))


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0, validation_data=make_dataset("test"))


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01)
    loss_fn = keras.losses.MeanSquaredError()

    def total_loss(x, y, training):
        p = model(x, training=training)
        return loss_fn(y, p) + sum(model.losses)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = total_loss(x, y, training=True)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    @tf.function
    def test_step(x, y):
        return total_loss(x, y, training=False)

    log = []
    for _ in range(epochs):
        entry = {}
        for key, step, data in (
            ("loss", train_step, ds),
            ("val_loss", test_step, make_dataset("test")),
        ):
            mean = keras.metrics.Mean()
            for x, y in data:
                mean.update_state(step(x, y), sample_weight=len(x))
            entry[key] = float(mean.result())
        log.append(entry)
    return log
