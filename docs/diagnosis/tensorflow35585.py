"""tensorflow/tensorflow#35585: "Difference in training accuracy and loss using gradientTape vs
model.fit".

A multi-label classifier (24 sigmoids) on 15 dense features here, 5,078 in the report. fit gets
arrays with shuffle=True and a validation split; the loop goes through the data in its own order,
and its accuracy and loss are other ones."""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    return keras.Sequential(
        [
            keras.Input((15,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(100, activation="relu"),
            keras.layers.Dense(24, activation="sigmoid"),
        ]
    )


def make_dataset(split):
    draw = np.random.default_rng(0 if split == "train" else 1)
    x = draw.normal(size=(600, 15)).astype("float32")
    y = (x @ np.random.default_rng(2).normal(size=(15, 24)) > 0.5).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def keras_fit(model, ds, epochs):
    x = np.concatenate([x for x, _ in ds])
    y = np.concatenate([y for _, y in ds])
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["acc"])
    return model.fit(x, y, batch_size=32, epochs=epochs, shuffle=True, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam()
    bce = keras.losses.BinaryCrossentropy()
    losses = []
    for _ in range(epochs):
        epoch_loss = keras.metrics.Mean()
        for x, y in ds:
            with tf.GradientTape() as tape:
                loss = bce(y, model(x, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables))
            epoch_loss(loss)
        losses.append(float(epoch_loss.result()))
    return {"loss": losses}
