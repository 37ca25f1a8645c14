"""Situation of tensorflow/tensorflow#41413 (fixed by tensorflow/docs#1623): the model gives logits, the metric named
"accuracy" cuts them at 0.5, the loop cuts at 0. Training is the same; the accuracies are not."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "metric_definition_differs"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/41413"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "metric (accuracy); loss and weights identical"


def build_model():
    keras.utils.set_random_seed(17)
    return keras.Sequential(
        [keras.Input((10,)), layers.Dense(16, activation="relu"), layers.Dense(1)]
    )


def make_dataset(split):
    rng = np.random.default_rng(40 if split == "train" else 41)
    x = rng.normal(size=(640 if split == "train" else 320, 10)).astype("float32")
    w = np.random.default_rng(1).normal(size=10)
    y = (x @ w + rng.normal(0, 2.0, len(x)) > 0).astype("float32")[:, None]
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-3),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    h = model.fit(ds, epochs=epochs, validation_data=make_dataset("test"), verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.RMSprop(1e-3)
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    loss_m, acc_m = keras.metrics.Mean(), keras.metrics.BinaryAccuracy(threshold=0.0)
    test = make_dataset("test")

    @tf.function
    def train(x, y):
        with tf.GradientTape() as tape:
            z = model(x, training=True)
            loss = bce(y, z)
        opt.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        loss_m.update_state(loss, sample_weight=tf.shape(x)[0])
        acc_m.update_state(y, z)

    @tf.function
    def check(x, y):
        z = model(x, training=False)
        loss_m.update_state(bce(y, z), sample_weight=tf.shape(x)[0])
        acc_m.update_state(y, z)

    log = {k: [] for k in ("loss", "accuracy", "val_loss", "val_accuracy")}
    for _ in range(epochs):
        for fn, data, pre in ((train, ds, ""), (check, test, "val_")):
            loss_m.reset_state(), acc_m.reset_state()
            for x, y in data:
                fn(x, y)
            log[pre + "loss"].append(float(loss_m.result()))
            log[pre + "accuracy"].append(float(acc_m.result()))
    return model, log
