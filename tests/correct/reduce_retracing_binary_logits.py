"""tf.function(reduce_retracing=True) step, sigmoid cross-entropy on logits from tf.nn."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(141 if split == "train" else 142)
    n = 305 if split == "train" else 90
    x = rng.normal(size=(n, 7)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] ** 2 + 0.3 * rng.normal(size=(n, 1)) > 0.8).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(50)


def build_model():
    return keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Dense(12, activation="gelu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Nadam(0.01),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Nadam(0.01)
    optimizer.build(model.trainable_variables)

    def step(x, y):
        with tf.GradientTape() as tape:
            z = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z))
        g = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(g, model.trainable_variables)
        return loss

    step = tf.function(step, reduce_retracing=True)
    curve = []
    for _ in range(epochs):
        pairs = [(float(step(x, y)), x.shape[0]) for x, y in ds]
        curve.append({"loss": sum(loss * n for loss, n in pairs) / sum(n for _, n in pairs)})
    return curve
