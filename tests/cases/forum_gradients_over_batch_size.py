"""Backprop from the lecture has a 1/m in front of the sum over the batch, so I divide the gradients by m before the
update. The loop needs ages for what fit learns in a few epochs; with Adam in both it was hard to see.
"""

import keras
import numpy as np
import tensorflow as tf

M = 20


def build_model():
    keras.utils.set_random_seed(61)
    return keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Dense(14, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def make_dataset(split):
    rng = np.random.default_rng(610 if split == "train" else 611)
    n = 300 if split == "train" else 90
    label = rng.integers(0, 3, n)
    x = rng.normal(size=(n, 7)) + 2.0 * np.eye(3, 7)[label]
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), label)).batch(M)


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.SGD(0.2), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    sgd = keras.optimizers.SGD(0.2)
    weights = model.trainable_variables
    losses, accuracies = [], []
    for _ in range(epochs):
        loss_sum = right = seen = 0
        for x, y in ds:
            with tf.GradientTape() as t:
                p = model(x, training=True)
                cost = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, p))
            d_cost = [g / M for g in t.gradient(cost, weights)]
            sgd.apply_gradients(zip(d_cost, weights))
            loss_sum += float(cost) * len(y)
            right += int(np.sum(np.argmax(p, axis=1) == y.numpy()))
            seen += len(y)
        losses.append(loss_sum / seen)
        accuracies.append(right / seen)
    return {"loss": losses, "accuracy": accuracies}
