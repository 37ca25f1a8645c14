"""Sensor calibration. The inputs have to be normalised and the targets converted, so in the fit version I shuffle, map
one and the other, and zip. It hardly gets better than guessing. The loop that picks rows by index works.
"""

import keras
import numpy as np
import tensorflow as tf

BATCH = 25


def build_model():
    keras.utils.set_random_seed(22)
    net = keras.Sequential(name="calibration")
    net.add(keras.Input((5,)))
    net.add(keras.layers.Dense(20, activation="softplus"))
    net.add(keras.layers.Dense(2))
    return net


def make_dataset(split):
    rng = np.random.default_rng(2200 if split == "train" else 2201)
    n = 250 if split == "train" else 100
    volts = rng.uniform(-5, 5, (n, 5)).astype("float32")
    bars = np.stack([volts[:, 0] * volts[:, 1], volts[:, 2:].sum(axis=1)], axis=1)
    return tf.data.Dataset.from_tensor_slices((volts, bars.astype("float32"))).batch(BATCH)


def arrays(ds):
    pairs = list(ds.as_numpy_iterator())
    return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])


def keras_fit(model, ds, epochs):
    x, y = arrays(ds)
    rows = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x))
    inputs = rows.map(lambda volts, bars: volts / 5.0)
    targets = rows.map(lambda volts, bars: bars / 10.0)
    train = tf.data.Dataset.zip((inputs, targets)).batch(BATCH)
    model.compile(keras.optimizers.RMSprop(0.003), "huber")
    return model, model.fit(train, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    x, y = arrays(ds)
    x, y = x / np.float32(5.0), y / np.float32(10.0)
    rng = np.random.default_rng(3)
    optimizer, huber = keras.optimizers.RMSprop(0.003), keras.losses.Huber()

    @tf.function
    def step(a, b):
        with tf.GradientTape() as tape:
            loss = huber(b, model(a, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    history = {"loss": []}
    for _ in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            losses.append(float(step(tf.constant(x[rows]), tf.constant(y[rows]))))
        history["loss"].append(sum(losses) / len(losses))
    return model, history
