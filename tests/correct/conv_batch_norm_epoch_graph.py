"""A small convolutional net with batch norm and spatial dropout; a whole epoch in one tf.function."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    rng = np.random.default_rng(761 if split == "train" else 762)
    n = 190 if split == "train" else 70
    label = rng.integers(0, 3, size=n)
    x = rng.normal(scale=0.5, size=(n, 8, 8, 1))
    for i, c in enumerate(label):
        x[i, 2 * c : 2 * c + 2] += 1.0
    pair = (x.astype("float32"), label.astype("int64"))
    return tf.data.Dataset.from_tensor_slices(pair).batch(30).prefetch(tf.data.AUTOTUNE)


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.SpatialDropout2D(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    loss_fn = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def run(data):
        loss_sum, hits, rows = 0.0, 0, 0
        for images, labels in data:
            with tf.GradientTape() as tape:
                p = model(images, training=True)
                loss = loss_fn(labels, p)
            optimizer.apply_gradients(
                zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            )
            n = tf.shape(labels)[0]
            loss_sum += loss * tf.cast(n, tf.float32)
            hits += tf.math.count_nonzero(tf.argmax(p, axis=1) == labels, dtype=tf.int32)
            rows += n
        return loss_sum / tf.cast(rows, tf.float32), hits / rows

    history = {"loss": [], "accuracy": []}
    for _ in range(epochs):
        loss, accuracy = run(ds)
        history["loss"].append(float(loss))
        history["accuracy"].append(float(accuracy))
    return history
