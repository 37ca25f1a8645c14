"""@tf.function step, functional loss with reduce_mean, L2 through tf.add_n(model.losses)."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (400, 111) if split == "train" else (120, 112)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(48)


def build_model():
    inputs = keras.Input(shape=(6,))
    h = layers.Dense(24, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3))(inputs)
    h = layers.Dense(12, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-2))(h)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(h))


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(model.trainable_variables)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            probs = model(x, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, probs))
            loss += tf.add_n(model.losses)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        return loss

    history = {"loss": []}
    for _ in range(epochs):
        batch_losses, sizes = [], []
        for x, y in ds:
            batch_losses.append(train_step(x, y).numpy())
            sizes.append(len(y))
        history["loss"].append(float(np.average(batch_losses, weights=sizes)))
    return history
