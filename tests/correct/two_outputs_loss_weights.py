"""Two named outputs with loss_weights; targets in a dict, the weighted sum written out."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (270, 441) if split == "train" else (95, 442)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    price = (x[:, :1] - 0.5 * x[:, 1:2] ** 2).astype("float32")
    kind = (np.abs(x[:, 2]) + x[:, 3] > 0.6).astype("int32") + (x[:, 4] > 0.8).astype("int32")
    return tf.data.Dataset.from_tensor_slices((x, {"price": price, "kind": kind})).batch(32)


def build_model():
    inputs = keras.Input((6,))
    h = layers.Dense(20, activation="relu")(inputs)
    price = layers.Dense(1, name="price")(h)
    kind = layers.Dense(3, activation="softmax", name="kind")(h)
    return keras.Model(inputs, {"price": price, "kind": kind})


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.005),
        loss={"price": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"price": 0.3, "kind": 2.0},
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.005)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            out = model(x, training=True)
            price = tf.reduce_mean(tf.square(y["price"] - out["price"]))
            kind = tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(y["kind"], out["kind"])
            )
            loss = 0.3 * price + 2.0 * kind
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    log = []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x, y in ds:
            total += float(step(x, y)) * len(x)
            rows += len(x)
        log.append({"loss": total / rows})
    return log
