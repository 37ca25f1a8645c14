"""EMA that overwrites the weights every 5 steps and at the end; eager, class-based trainer."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (237, 561) if split == "train" else (120, 562)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(23)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(12, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def sgd():
    return keras.optimizers.SGD(
        0.1, momentum=0.9, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=5
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=sgd(), loss="sparse_categorical_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0)


class Trainer:
    def __init__(self, model):
        self.model, self.optimizer = model, sgd()
        self.criterion = keras.losses.SparseCategoricalCrossentropy()

    def batch(self, x, y):
        with tf.GradientTape() as tape:
            loss = self.criterion(y, self.model(x, training=True))
        weights = self.model.trainable_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return float(loss) * len(y), len(y)

    def fit(self, ds, epochs):
        log = []
        for _ in range(epochs):
            total, rows = map(sum, zip(*(self.batch(x, y) for x, y in ds), strict=True))
            log.append({"loss": total / rows})
        self.optimizer.finalize_variable_values(self.model.trainable_weights)
        return log


def custom_loop(model, ds, epochs):
    return Trainer(model).fit(ds, epochs)
