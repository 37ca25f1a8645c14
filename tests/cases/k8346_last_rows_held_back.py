"""Situation of keras-team/keras#8346 (also #6422): rows sorted by class; validation_split holds out the last rows, which
are one whole class, before anything is shuffled. The loop shuffles first and then splits."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "validation_split_differs"
SOURCE = "https://github.com/keras-team/keras/issues/8346"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "batch contents (which rows are trained on), evaluation"
CLASSES, BATCH = 5, 32


def build_model():
    keras.utils.set_random_seed(14)
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(24, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def make_dataset(split):
    rng = np.random.default_rng(80 if split == "train" else 81)
    y = np.repeat(np.arange(CLASSES), 160 if split == "train" else 30)
    centres = np.random.default_rng(3).normal(size=(CLASSES, 6)) * 1.5
    x = (centres[y] + rng.normal(size=(len(y), 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)


def keras_fit(model, ds, epochs):
    x = np.concatenate([a for a, _ in ds.as_numpy_iterator()])
    y = np.concatenate([b for _, b in ds.as_numpy_iterator()])
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    h = model.fit(
        x, y, batch_size=BATCH, epochs=epochs, validation_split=0.2, shuffle=True, verbose=0
    )
    return model, h.history


def custom_loop(model, ds, epochs):
    x = np.concatenate([a for a, _ in ds.as_numpy_iterator()])
    y = np.concatenate([b for _, b in ds.as_numpy_iterator()])
    order = np.random.default_rng(0).permutation(len(x))
    cut = int(len(x) * 0.8)
    train = (
        tf.data.Dataset.from_tensor_slices((x[order[:cut]], y[order[:cut]]))
        .shuffle(cut)
        .batch(BATCH)
    )
    valid = tf.data.Dataset.from_tensor_slices((x[order[cut:]], y[order[cut:]])).batch(BATCH)
    opt, ce = keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy()
    loss_m, acc_m = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def step(a, b):
        with tf.GradientTape() as tape:
            p = model(a, training=True)
            loss = ce(b, p)
        opt.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        loss_m.update_state(loss, sample_weight=tf.shape(a)[0]), acc_m.update_state(b, p)

    log = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}
    for _ in range(epochs):
        loss_m.reset_state(), acc_m.reset_state()
        for a, b in train:
            step(a, b)
        log["loss"].append(float(loss_m.result())), log["accuracy"].append(float(acc_m.result()))
        loss_m.reset_state(), acc_m.reset_state()
        for a, b in valid:
            p = model(a, training=False)
            loss_m.update_state(ce(b, p), sample_weight=tf.shape(a)[0]), acc_m.update_state(b, p)
        (
            log["val_loss"].append(float(loss_m.result())),
            log["val_accuracy"].append(float(acc_m.result())),
        )
    return model, log
