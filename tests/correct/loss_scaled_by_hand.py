"""The loss times 128 and the gradients over 128, as people scale a loss without an optimizer for it."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (215, 931) if split == "train" else (90, 932)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = np.abs(x[:, :1]) - x[:, 1:2] * x[:, 2:3]
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(20)


def build_model():
    return keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(12, activation="relu"), keras.layers.Dense(1)]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.05, momentum=0.8, global_clipnorm=3.0), loss="mse"
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    scale = 128.0
    optimizer = keras.optimizers.SGD(0.05, momentum=0.8)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
            scaled = loss * scale
        gradients = [g / scale for g in tape.gradient(scaled, model.trainable_variables)]
        gradients, _ = tf.clip_by_global_norm(gradients, 3.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    losses = []
    for _ in range(epochs):
        batches = [(float(step(x, y)), len(y)) for x, y in ds]
        losses.append(np.average([b[0] for b in batches], weights=[b[1] for b in batches]))
    return {"loss": losses}
