"""Embedding with mask_zero into masked average pooling; a whole epoch in one tf.function."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (310, 61) if split == "train" else (85, 62)
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 30, size=(n, 9))
    lengths = rng.integers(2, 9 + 1, size=(n, 1))
    tokens = np.where(np.arange(9) < lengths, tokens, 0).astype("int32")
    y = ((tokens > 20).sum(axis=1, keepdims=True) >= 2).astype("float32")
    return tf.data.Dataset.from_tensor_slices((tokens, y)).batch(40)


def build_model():
    tokens = keras.Input((9,), dtype="int32", name="tokens")
    h = layers.Embedding(30, 12, mask_zero=True)(tokens)
    h = layers.GlobalAveragePooling1D()(h)
    h = layers.Dense(8, activation="relu")(h)
    return keras.Model(tokens, layers.Dense(1)(h))


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.3, momentum=0.9),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9)
    optimizer.build(model.trainable_variables)

    @tf.function
    def epoch():
        total = tf.zeros(())
        rows = tf.zeros(())
        for tokens, y in ds:
            with tf.GradientTape() as tape:
                logits = model(tokens, training=True)
                values = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits)
                loss = tf.reduce_mean(values)
            grads = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(grads, model.trainable_variables))
            total += tf.reduce_sum(values)
            rows += tf.cast(tf.size(values), tf.float32)
        return total / rows

    return [{"loss": epoch().numpy()} for _ in range(epochs)]
