"""Ported a compile/fit notebook to a loop; the notebook author says Adam with decay. The curves part after some epochs,
the weights from fit are smaller.
"""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    keras.utils.set_random_seed(36)
    return keras.Sequential(
        [
            keras.Input((11,)),
            keras.layers.Dense(30, activation="relu"),
            keras.layers.Dense(30, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def make_dataset(split):
    rng = np.random.default_rng(360 if split == "train" else 361)
    n = 470 if split == "train" else 130
    x = rng.normal(size=(n, 11)).astype("float32")
    y = np.digitize(x[:, 0] + np.abs(x[:, 1]), [0.2, 1.2])
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(40)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=2e-3, weight_decay=0.05),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(learning_rate=2e-3)
    loss_fn = keras.losses.SparseCategoricalCrossentropy()
    acc = keras.metrics.SparseCategoricalAccuracy()
    log = {"loss": [], "accuracy": []}
    for _ in range(epochs):
        acc.reset_state()
        loss_sum, rows = 0.0, 0
        for x, y in ds:
            with tf.GradientTape() as tape:
                probs = model(x, training=True)
                loss = loss_fn(y, probs)
            optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
            acc.update_state(y, probs)
            loss_sum += float(loss) * int(x.shape[0])
            rows += int(x.shape[0])
        log["loss"].append(loss_sum / rows)
        log["accuracy"].append(float(acc.result()))
    return log
