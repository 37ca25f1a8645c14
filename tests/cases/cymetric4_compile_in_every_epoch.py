"""cymetric#4, turned round: the loop makes its RMSprop anew in every epoch, fit keeps one; both shuffle."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (260, 61) if split == "train" else (80, 62)
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 4)).astype("float32")
    y = np.cos(2 * x[:, :1]) + x[:, 1:2] * x[:, 3:]
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(26)


def build_model():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(20, activation="tanh"), keras.layers.Dense(1)]
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.RMSprop(0.005), loss="mae")
    return model.fit(ds.unbatch().shuffle(260).batch(26), epochs=epochs, verbose=0)


def train_epoch(model, ds):
    optimizer = keras.optimizers.RMSprop(0.005)
    loss_fn = keras.losses.MeanAbsoluteError()
    total = keras.metrics.Mean()
    for x, y in ds.unbatch().shuffle(260).batch(26):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        total.update_state(loss, sample_weight=len(y))
    return float(total.result())


def custom_loop(model, ds, epochs):
    return model, {"loss": [train_epoch(model, ds) for _ in range(epochs)]}
