"""Eager loop as in the Keras guide: metric objects, reset each epoch, a validation pass."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (330, 21) if split == "train" else (120, 22)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(4, 8))
    y = rng.integers(0, 4, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 8))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    inputs = keras.Input(shape=(8,))
    h = layers.Dense(16, activation="tanh")(inputs)
    return keras.Model(inputs, layers.Dense(4)(h))


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model.fit(ds, epochs=epochs, validation_data=make_dataset("test"), verbose=0)


def custom_loop(model, ds, epochs):
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(learning_rate=0.01)
    train_loss, val_loss = keras.metrics.Mean(), keras.metrics.Mean()
    train_acc, val_acc = (
        keras.metrics.SparseCategoricalAccuracy(),
        keras.metrics.SparseCategoricalAccuracy(),
    )
    val_ds = make_dataset("test")
    history = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}

    for _epoch in range(epochs):
        for metric in (train_loss, val_loss, train_acc, val_acc):
            metric.reset_state()
        for x_batch, y_batch in ds:
            with tf.GradientTape() as tape:
                logits = model(x_batch, training=True)
                loss_value = loss_fn(y_batch, logits)
            grads = tape.gradient(loss_value, model.trainable_weights)
            optimizer.apply(grads, model.trainable_weights)
            train_loss.update_state(loss_value, sample_weight=x_batch.shape[0])
            train_acc.update_state(y_batch, logits)
        for x_batch, y_batch in val_ds:
            logits = model(x_batch, training=False)
            val_loss.update_state(loss_fn(y_batch, logits), sample_weight=x_batch.shape[0])
            val_acc.update_state(y_batch, logits)
        history["loss"].append(float(train_loss.result()))
        history["accuracy"].append(float(train_acc.result()))
        history["val_loss"].append(float(val_loss.result()))
        history["val_accuracy"].append(float(val_acc.result()))
    return history
