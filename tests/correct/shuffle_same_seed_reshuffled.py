"""Both sides shuffle by ds.unbatch().shuffle(n, seed=3).batch(b), reshuffled alike; epoch in a graph."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (337, 315) if split == "train" else (113, 316)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(30)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(12, activation="tanh"),
            keras.layers.Dense(3),
        ]
    )


def keras_fit(model, ds, epochs):
    data = ds.unbatch().shuffle(337, seed=3).batch(30)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.6), loss=loss)
    return model.fit(data, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    data = ds.unbatch().shuffle(337, seed=3).batch(30)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.6)
    optimizer.build(model.trainable_variables)
    meter = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def epoch():
        for x, y in data:
            with tf.GradientTape() as tape:
                logits = model(x, training=True)
                loss = tf.reduce_mean(
                    keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
                )
            optimizer.apply(
                tape.gradient(loss, model.trainable_variables), model.trainable_variables
            )
            meter.update_state(y, logits)

    losses = []
    for _ in range(epochs):
        meter.reset_state()
        epoch()
        losses.append(float(meter.result()))
    return losses
