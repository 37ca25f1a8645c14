"""SGD by hand with each variable's own constraint applied after the update."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (247, 701) if split == "train" else (113, 702)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(24)


def build_model():
    inputs = keras.Input((6,))
    h = layers.Dense(12, activation="tanh", kernel_constraint=keras.constraints.UnitNorm(axis=0))(
        inputs
    )
    outputs = layers.Dense(3, activation="softmax", bias_constraint=keras.constraints.NonNeg())(h)
    return keras.Model(inputs, outputs)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    loss_fn = keras.losses.SparseCategoricalCrossentropy()

    def update(variable, gradient):
        variable.assign_sub(0.1 * gradient)
        if variable.constraint is not None:
            variable.assign(variable.constraint(variable))

    losses = []
    for _ in range(epochs):
        mean = keras.metrics.Mean()
        for x, y in ds:
            with tf.GradientTape() as tape:
                loss = loss_fn(y, model(x, training=True))
            for v, g in zip(
                model.trainable_variables,
                tape.gradient(loss, model.trainable_variables),
                strict=True,
            ):
                update(v, g)
            mean.update_state(loss, sample_weight=len(y))
        losses.append(float(mean.result()))
    return losses
