"""I stripped MirroredStrategy from my loop to debug on one device. Loss is about thirty times that of fit, and training
is jumpy with SGD.
"""

import keras
import numpy as np
import tensorflow as tf

REPLICAS = 1


def build_model():
    keras.utils.set_random_seed(64)
    i = keras.Input((15,))
    o = keras.layers.Dense(6, activation="softmax")(keras.layers.Dense(20, activation="relu")(i))
    return keras.Model(i, o)


def make_dataset(split):
    rng = np.random.default_rng(7 + (split == "test"))
    n = 450 if split == "train" else 150
    y = rng.integers(0, 6, n)
    x = (rng.normal(size=(n, 15)) + np.eye(6, 15)[y]).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int64"))).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    sgd = keras.optimizers.SGD(0.01)
    per_example = keras.losses.SparseCategoricalCrossentropy(reduction="none")

    def replica_step(x, y):
        with tf.GradientTape() as tape:
            losses = per_example(y, model(x, training=True))
            loss = tf.reduce_sum(losses) / REPLICAS
        grads = tape.gradient(loss, model.trainable_variables)
        sgd.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return loss

    run = tf.function(replica_step)
    log = {"loss": []}
    for _ in range(epochs):
        m = keras.metrics.Mean()
        for x, y in ds:
            m.update_state(run(x, y), sample_weight=tf.shape(x)[0])
        log["loss"].append(float(m.result()))
    return log
