"""jit_compile=True step over a model with batch normalization, validated with training=False."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    n, seed = (345, 161) if split == "train" else (120, 162)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 9))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 9))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(32)


def build_model():
    inputs = keras.Input(shape=(9,))
    h = layers.Dense(20, use_bias=False)(inputs)
    h = layers.BatchNormalization(momentum=0.9)(h)
    h = layers.Activation("relu")(h)
    return keras.Model(inputs, layers.Dense(3)(h))


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    return model.fit(ds, epochs=epochs, validation_data=make_dataset("test"), verbose=0)


def custom_loop(model, ds, epochs):
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=True)
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    @tf.function(jit_compile=True)
    def test_step(x, y):
        return loss_fn(y, model(x, training=False))

    def weighted(step, data):
        results = [(float(step(x, y)), int(x.shape[0])) for x, y in data]
        return sum(v * n for v, n in results) / sum(n for _, n in results)

    test_ds = make_dataset("test")
    log = []
    for _ in range(epochs):
        loss = weighted(train_step, ds)
        log.append({"loss": loss, "val_loss": weighted(test_step, test_ds)})
    return log
