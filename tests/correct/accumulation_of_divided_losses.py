"""gradient_accumulation_steps=4 in fit; the loop sums the gradients of loss / 4. Both shuffle as they like."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (192, 941) if split == "train" else (80, 942)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    y = rng.integers(0, 3, size=n)
    x = (centres[y] + rng.normal(scale=0.9, size=(n, 6))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(16)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.2, momentum=0.5, gradient_accumulation_steps=4),
        loss="sparse_categorical_crossentropy",
    )
    # Of a data set of unknown length, fit would count an update too many in every epoch.
    known = tf.data.experimental.assert_cardinality(sum(1 for _ in ds))
    data = ds.unbatch().shuffle(192, seed=1).batch(16).apply(known)
    return model.fit(data, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.2, momentum=0.5)
    loss_fn = keras.losses.SparseCategoricalCrossentropy()
    variables = model.trainable_variables
    kept, pending = [tf.zeros(v.shape) for v in variables], 0
    losses = []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x, y in ds.unbatch().shuffle(192, seed=2).batch(16):
            with tf.GradientTape() as tape:
                loss = loss_fn(y, model(x, training=True))
                part = loss / 4
            kept = [k + g for k, g in zip(kept, tape.gradient(part, variables))]
            pending += 1
            if pending == 4:
                optimizer.apply_gradients(zip(kept, variables))
                kept, pending = [tf.zeros(v.shape) for v in variables], 0
            total += float(loss) * len(y)
            rows += len(y)
        losses.append(total / rows)
    return {"loss": losses}
