"""Fraud data, 10 percent positives. Recall of my loop is fine (it has the weights of the two classes in it) while the
model from fit hardly ever says 1. I thought the Dataset carries everything over.
"""

import keras
import numpy as np
import tensorflow as tf

CLASS_WEIGHT = {0: 0.6, 1: 5.0}


def build_model():
    keras.utils.set_random_seed(55)
    return keras.Sequential(
        [
            keras.layers.Input((10,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def make_dataset(split):
    rng = np.random.default_rng(5 if split == "train" else 6)
    n = 530 if split == "train" else 210
    y = (rng.random(n) < 0.1).astype("int64")
    x = rng.normal(size=(n, 10)) + y[:, None] * 0.7
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(50)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    weight_of = tf.constant([CLASS_WEIGHT[0], CLASS_WEIGHT[1]])
    loss_object = keras.losses.SparseCategoricalCrossentropy()
    optimizer = keras.optimizers.Adam(1e-3)
    result = {"loss": [], "accuracy": []}

    @tf.function
    def one_batch(x, y):
        w = tf.gather(weight_of, y)
        with tf.GradientTape() as tape:
            p = model(x, training=True)
            loss = loss_object(y, p, sample_weight=w)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss, p

    for _ in range(epochs):
        loss_avg = keras.metrics.Mean()
        acc = keras.metrics.SparseCategoricalAccuracy()
        for x, y in ds:
            loss, p = one_batch(x, y)
            loss_avg.update_state(loss, sample_weight=tf.shape(x)[0])
            acc.update_state(y, p)
        result["loss"].append(float(loss_avg.result()))
        result["accuracy"].append(float(acc.result()))
    return result
