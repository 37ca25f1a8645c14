"""A small convolutional backbone with its batch norm frozen (so it runs in inference mode); train_step override."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(41 if split == "train" else 42)
    n = 210 if split == "train" else 70
    label = rng.integers(0, 3, size=n)
    x = rng.normal(scale=0.5, size=(n, 8, 8, 1))
    for i, c in enumerate(label):
        x[i, 2 * c : 2 * c + 2] += 1.0
    pair = (x.astype("float32"), label.astype("int64"))
    return tf.data.Dataset.from_tensor_slices(pair).batch(32)


def build_model():
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalMaxPooling2D(),
        ],
        name="backbone",
    )
    backbone.trainable = False
    inputs = keras.Input((8, 8, 1))
    h = backbone(inputs)
    h = keras.layers.Concatenate()(
        [h, keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(inputs))]
    )
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(h))


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0)


class HeadTrainer(keras.Model):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.seen = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.seen]

    def call(self, x, training=None):
        return self.net(x, training=training)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            p = self.net(x, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, p))
        weights = self.net.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        self.seen.update_state(loss, sample_weight=tf.shape(y)[0])
        return {"loss": self.seen.result()}


def custom_loop(model, ds, epochs):
    trainer = HeadTrainer(model)
    trainer.compile(optimizer=keras.optimizers.Adam(0.02))
    return trainer.fit(ds, epochs=epochs, verbose=0)
