"""Early stopping on val_accuracy (higher is better, strictly), best weights restored; eager class."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (187, 581) if split == "train" else (75, 582)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(4, 6))
    y = rng.integers(0, 4, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(30)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.02),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    callback = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=2, restore_best_weights=True
    )
    model.fit(
        ds, epochs=epochs, validation_data=make_dataset("test"), callbacks=[callback], verbose=0
    )


class Stopper:
    def __init__(self, model, patience):
        self.model, self.patience = model, patience
        self.best, self.weights, self.wait = -1.0, None, 0

    def should_stop(self, value):
        self.wait += 1
        if value > self.best:
            self.best, self.wait = value, 0
            self.weights = [np.copy(w) for w in self.model.get_weights()]
        return self.wait >= self.patience

    def restore(self):
        if self.weights is not None:
            self.model.set_weights(self.weights)


def custom_loop(model, ds, epochs):
    stopper = Stopper(model, patience=2)
    optimizer = keras.optimizers.Adam(0.02)
    loss_fn = keras.losses.SparseCategoricalCrossentropy()
    test = make_dataset("test")
    for _ in range(epochs):
        for x, y in ds:
            with tf.GradientTape() as tape:
                loss = loss_fn(y, model(x, training=True))
            optimizer.apply(
                tape.gradient(loss, model.trainable_variables), model.trainable_variables
            )
        hits = [np.argmax(model(x, training=False), axis=1) == y.numpy() for x, y in test]
        if stopper.should_stop(np.concatenate(hits).mean()):
            break
    stopper.restore()
    return model
