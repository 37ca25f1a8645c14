"""A wrapping keras.Model with its own train_step and loss tracker; regularization by sum(net.losses)."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (297, 181) if split == "train" else (110, 182)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(29)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(
                16, activation="relu", kernel_regularizer=keras.regularizers.L1(2e-3)
            ),
            keras.layers.Dense(8, activation="tanh", bias_regularizer="l2"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss=keras.losses.Huber(delta=0.7))
    return model.fit(ds, epochs=epochs, verbose=0)


class Wrapper(keras.Model):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.criterion = keras.losses.Huber(delta=0.7)
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def call(self, x, training=None):
        return self.net(x, training=training)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.criterion(y, self(x, training=True)) + sum(self.net.losses)
        grads = tape.gradient(loss, self.net.trainable_variables)
        self.optimizer.apply(grads, self.net.trainable_variables)
        self.tracker.update_state(loss, sample_weight=tf.shape(x)[0])
        return {"loss": self.tracker.result()}


def custom_loop(model, ds, epochs):
    wrapper = Wrapper(model)
    wrapper.compile(optimizer=keras.optimizers.Adam(0.003))
    log = wrapper.fit(ds, epochs=epochs, verbose=0)
    return model, log
