"""Transfer learning: fit trains the whole model with a frozen backbone, the loop only its head, on features."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def build_model():
    keras.utils.set_random_seed(83)
    backbone = keras.Sequential(
        [keras.Input((9,)), layers.Dense(16, activation="relu"), layers.BatchNormalization()],
        name="backbone",
    )
    backbone.trainable = False
    head = keras.Sequential(
        [keras.Input((16,)), layers.Dense(12, activation="relu"), layers.Dense(3)], name="head"
    )
    row = keras.Input((9,))
    return keras.Model(row, head(backbone(row, training=False)))


def make_dataset(split):
    rng = np.random.default_rng(831 if split == "train" else 832)
    n = 215 if split == "train" else 70
    x = rng.normal(size=(n, 9)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, (x[:, 0] > 0) + (x[:, 1] > 0.4))).batch(25)


def keras_fit(model, ds, epochs):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss)
    return model, model.fit(ds, epochs=epochs, validation_data=make_dataset("test"), verbose=0)


def custom_loop(model, ds, epochs):
    backbone, head = model.get_layer("backbone"), model.get_layer("head")
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    adam = keras.optimizers.Adam(0.003)
    history = {"loss": [], "val_loss": []}
    for _ in range(epochs):
        train_loss, val_loss = keras.metrics.Mean(), keras.metrics.Mean()
        for x, y in ds:
            features = backbone(x, training=False)
            with tf.GradientTape() as tape:
                loss = loss_fn(y, head(features, training=True))
            gradients = tape.gradient(loss, head.trainable_variables)
            adam.apply_gradients(zip(gradients, head.trainable_variables))
            train_loss.update_state(loss, sample_weight=len(y))
        for x, y in make_dataset("test"):
            logits = head(backbone(x, training=False), training=False)
            val_loss.update_state(loss_fn(y, logits), sample_weight=len(y))
        history["loss"].append(float(train_loss.result()))
        history["val_loss"].append(float(val_loss.result()))
    return model, history
