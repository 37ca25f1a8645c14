"""Final weights of both runs are identical to the last digit, but the numbers I print per epoch are not those of fit.

260 rows, batches of 64.
"""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    keras.utils.set_random_seed(38)
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(10, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def make_dataset(split):
    rng = np.random.default_rng(596 if split == "train" else 597)
    n = 260 if split == "train" else 100
    x = rng.normal(size=(n, 5)).astype("float32")
    y = (x[:, :1] + 0.8 * rng.normal(size=(n, 1)) > 0).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(64)


def keras_fit(model, ds, epochs):
    model.compile("sgd", "binary_crossentropy", metrics=["binary_accuracy"], jit_compile=False)
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.SGD()
    bce = keras.losses.BinaryCrossentropy()
    hist = {"loss": [], "binary_accuracy": []}
    for _ in range(epochs):
        batch_losses, batch_accs = [], []
        for x, y in ds:
            with tf.GradientTape() as tape:
                p = model(x, training=True)
                loss = bce(y, p)
            g = tape.gradient(loss, model.trainable_variables)
            opt.apply_gradients(zip(g, model.trainable_variables, strict=True))
            batch_losses.append(loss.numpy())
            batch_accs.append(np.mean((p.numpy() > 0.5) == y.numpy()))
        hist["loss"].append(float(np.mean(batch_losses)))
        hist["binary_accuracy"].append(float(np.mean(batch_accs)))
    return hist
