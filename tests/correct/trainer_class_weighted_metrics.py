"""A dataclass trainer; sample weights from the data in the loss and the weighted metric."""

from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (300, 241) if split == "train" else (120, 242)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    w = rng.choice([0.5, 1.0, 3.0], size=n).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"), w)).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(18, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.006),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
    )
    return model.fit(ds, epochs=epochs, validation_data=make_dataset("test"), verbose=0)


@dataclass
class Trainer:
    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    loss_fn: keras.losses.Loss = field(default_factory=keras.losses.SparseCategoricalCrossentropy)
    log: list = field(default_factory=list)

    def __post_init__(self):
        self.mean = keras.metrics.Mean()
        self.acc = keras.metrics.SparseCategoricalAccuracy()

    def learn(self, x, y, w):
        with tf.GradientTape() as tape:
            probs = self.model(x, training=True)
            loss = self.loss_fn(y, probs, sample_weight=w)
        weights = self.model.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        return loss, probs

    def judge(self, x, y, w):
        probs = self.model(x, training=False)
        return self.loss_fn(y, probs, sample_weight=w), probs

    def over(self, data, step, prefix=""):
        self.mean.reset_state()
        self.acc.reset_state()
        for x, y, w in data:
            loss, probs = step(x, y, w)
            self.mean.update_state(loss, sample_weight=tf.shape(y)[0])
            self.acc.update_state(y, probs, sample_weight=w)
        return {
            prefix + "loss": float(self.mean.result()),
            prefix + "acc": float(self.acc.result()),
        }

    def run(self, train, test, epochs):
        learn, judge = tf.function(self.learn), tf.function(self.judge)
        for _ in range(epochs):
            self.log.append(self.over(train, learn) | self.over(test, judge, "val_"))
        return self.log


def custom_loop(model, ds, epochs):
    return Trainer(model, keras.optimizers.Adam(0.006)).run(ds, make_dataset("test"), epochs)
