"""tensorflow/tensorflow#31184: "Transfer learning trained by custom TF 2.0 training loop performs
worse than keras fit".

A base that was trained before, frozen, under a new head; fit learns, the loop does worse. The base
is a small convolution here. The loop is the one of the tutorials of that time: it calls the model
without a training flag, so the dropout of the head is off and its batch normalization never learns
its statistics."""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    base = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
        ],
        name="base",
    )
    base.trainable = False
    head = [
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(5, activation="softmax"),
    ]
    return keras.Sequential([keras.Input((16, 16, 3)), base, *head])


def make_dataset(split):
    draw = np.random.default_rng(0 if split == "train" else 1)
    labels = draw.integers(0, 5, 320)
    images = draw.uniform(size=(320, 16, 16, 3)) * (0.3 + 0.15 * labels[:, None, None, None])
    return tf.data.Dataset.from_tensor_slices(
        (images.astype("float32"), labels.astype("int32"))
    ).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(ds, epochs=epochs, verbose=0, validation_data=make_dataset("test"))


def custom_loop(model, ds, epochs):
    loss_object = keras.losses.SparseCategoricalCrossentropy()
    optimizer = keras.optimizers.Adam(1e-3)
    train_loss = keras.metrics.Mean(name="train_loss")
    test_accuracy = keras.metrics.SparseCategoricalAccuracy(name="test_accuracy")

    @tf.function
    def train_step(images, labels):
        with tf.GradientTape() as tape:
            predictions = model(images)
            loss = loss_object(labels, predictions)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        train_loss(loss)

    for _ in range(epochs):
        train_loss.reset_state()
        test_accuracy.reset_state()
        for images, labels in ds:
            train_step(images, labels)
        for images, labels in make_dataset("test"):
            test_accuracy(labels, model(images))
