"""tensorflow/docs#1460: losses of positions, masked, and averaged over all positions."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (230, 71) if split == "train" else (70, 72)
    rng = np.random.default_rng(seed)
    words = rng.integers(1, 25, size=(n, 10))
    words = np.where(np.arange(10) < rng.integers(2, 11, size=(n, 1)), words, 0).astype("int32")
    tags = np.where(words > 0, 1 + (words + np.roll(words, 1, axis=1)) % 5, 0).astype("int32")
    return tf.data.Dataset.from_tensor_slices((words, tags)).batch(32)


def build_model():
    words = keras.Input((10,), dtype="int32")
    h = keras.layers.Embedding(25, 8, mask_zero=True)(words)
    h = keras.layers.LSTM(12, return_sequences=True)(h)
    return keras.Model(words, keras.layers.Dense(6, activation="softmax")(h))


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.5)

    def loss_function(real, pred):
        mask = tf.math.logical_not(tf.math.equal(real, 0))
        loss_ = keras.losses.sparse_categorical_crossentropy(real, pred)
        loss_ *= tf.cast(mask, dtype=loss_.dtype)
        return tf.reduce_mean(loss_)

    @tf.function
    def train_step(words, tags):
        with tf.GradientTape() as tape:
            loss = loss_function(tags, model(words, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))

    for _ in range(epochs):
        for words, tags in ds:
            train_step(words, tags)
