"""AdamW that leaves biases and scales out of the weight decay on both sides; epoch in a graph."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (290, 631) if split == "train" else (113, 632)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(40)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(3),
        ]
    )


def adamw():
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=adamw(), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = adamw()
    optimizer.build(model.trainable_variables)
    mean = keras.metrics.Mean()

    @tf.function
    def epoch(data):
        for x, y in data:
            with tf.GradientTape() as tape:
                values = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=True))
                loss = tf.reduce_mean(values)
            optimizer.apply(
                tape.gradient(loss, model.trainable_variables), model.trainable_variables
            )
            mean.update_state(values)

    losses = []
    for _ in range(epochs):
        mean.reset_state()
        epoch(ds)
        losses.append(float(mean.result()))
    return {"loss": losses}
