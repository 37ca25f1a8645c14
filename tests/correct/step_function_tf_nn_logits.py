"""@tf.function step, tf.nn cross-entropy on logits, SGD with momentum."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (275, 121) if split == "train" else (120, 122)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(5, 10))
    y = rng.integers(0, 5, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 10))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(16)


def build_model():
    return keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(20, activation="relu"),
            keras.layers.Dense(5),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.02, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.SGD(0.02, momentum=0.9)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            per_row = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            loss = tf.reduce_mean(per_row)
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        hits = tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == y, tf.float32)
        return tf.reduce_sum(per_row), tf.reduce_sum(hits)

    log = []
    for _ in range(epochs):
        loss_sum = hit_sum = rows = 0.0
        for x, y in ds:
            batch_loss, batch_hits = step(x, y)
            loss_sum += float(batch_loss)
            hit_sum += float(batch_hits)
            rows += x.shape[0]
        log.append({"loss": loss_sum / rows, "accuracy": hit_sum / rows})
    return log
