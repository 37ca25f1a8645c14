"""global_clipnorm in fit's optimizer against tf.clip_by_global_norm in the loop; whole epoch in a graph."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (350, 481) if split == "train" else (110, 482)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(48)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5), loss="mse"
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    epoch_loss = keras.metrics.Mean()

    @tf.function
    def run(dataset):
        for x, y in dataset:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
            grads = tape.gradient(loss, model.trainable_variables)
            grads, _norm = tf.clip_by_global_norm(grads, 0.5)
            optimizer.apply_gradients(zip(grads, model.trainable_variables))
            epoch_loss.update_state(loss, sample_weight=tf.shape(x)[0])

    log = []
    for _ in range(epochs):
        epoch_loss.reset_state()
        run(ds)
        log.append({"loss": float(epoch_loss.result())})
    return log
