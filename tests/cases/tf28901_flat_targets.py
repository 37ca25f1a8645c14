"""House prices toy problem: with fit the MSE goes down nicely, in eager mode my net learns to predict the mean."""

import keras
import numpy as np
import tensorflow as tf


class PriceNet(keras.Model):
    def __init__(self):
        super().__init__()
        self.a = keras.layers.Dense(16, activation="relu")
        self.b = keras.layers.Dense(16, activation="relu")
        self.c = keras.layers.Dense(1)

    def call(self, x):
        return self.c(self.b(self.a(x)))


def build_model():
    keras.utils.set_random_seed(0)
    model = PriceNet()
    model(tf.zeros((1, 4)))
    return model


def make_dataset(split):
    rng = np.random.default_rng(13 if split == "train" else 14)
    rows = 290 if split == "train" else 80
    area, rooms, age, dist = (rng.random(rows) for _ in range(4))
    price = 3 * area + rooms - age * 0.5 - dist + 0.05 * rng.normal(size=rows)
    features = np.stack([area, rooms, age, dist], axis=1)
    return tf.data.Dataset.from_tensor_slices(
        (features.astype("float32"), price.astype("float32"))
    ).batch(20)


def keras_fit(model, ds, epochs):
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(5e-3), jit_compile=False)
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(5e-3)
    losses = []
    for _epoch in range(epochs):
        mean_loss = keras.metrics.Mean()
        for features, targets in ds:
            with tf.GradientTape() as tape:
                outputs = model(features, training=True)
                loss = tf.reduce_mean(tf.square(targets - outputs))
            grads = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
            mean_loss.update_state(loss, sample_weight=features.shape[0])
        losses.append(float(mean_loss.result()))
    return losses
