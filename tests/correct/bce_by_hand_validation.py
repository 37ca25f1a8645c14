"""Binary cross-entropy written out, with a hand-made validation pass; whole step in tf.function."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(331 if split == "train" else 332)
    n = 282 if split == "train" else 90
    x = rng.normal(size=(n, 6)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] ** 2 + 0.3 * rng.normal(size=(n, 1)) > 0.8).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(25)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.25),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.006), loss="binary_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0, validation_data=make_dataset("test"))


def cross_entropy(y, p):
    p = tf.clip_by_value(p, 1e-7, 1.0 - 1e-7)
    return -(y * tf.math.log(p) + (1.0 - y) * tf.math.log(1.0 - p))


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.006)

    @tf.function
    def train(x, y):
        with tf.GradientTape() as tape:
            values = cross_entropy(y, model(x, training=True))
            loss = tf.reduce_mean(values)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        return values

    @tf.function
    def test(x, y):
        return cross_entropy(y, model(x, training=False))

    val = make_dataset("test")
    history = {"loss": [], "val_loss": []}
    for _ in range(epochs):
        history["loss"].append(np.concatenate([train(x, y) for x, y in ds]).mean())
        history["val_loss"].append(np.concatenate([test(x, y) for x, y in val]).mean())
    return history
