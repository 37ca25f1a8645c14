"""I had shape errors with a partial batch once, so fit gets batches of a fixed size. The loop never had that problem.

Losses are close but never the same, and the weights drift apart.
"""

import keras
import numpy as np
import tensorflow as tf

BS = 48
ROWS = {"train": 350, "test": 120}


def build_model():
    keras.utils.set_random_seed(77)
    return keras.Sequential(
        [
            keras.Input((12, 2)),
            keras.layers.Conv1D(6, 3, activation="relu"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def make_dataset(split):
    rng = np.random.default_rng(0 if split == "train" else 99)
    n = ROWS[split]
    label = rng.integers(0, 4, n)
    t = np.linspace(0, 6.28, 12)
    waves = np.stack([np.sin((k + 1) * t) for k in range(4)])[label]
    x = np.stack([waves, waves**2], -1) + 0.3 * rng.normal(size=(n, 12, 2))
    return tf.data.Dataset.from_tensor_slices((x.astype("f4"), np.eye(4, dtype="f4")[label])).batch(
        BS
    )


def keras_fit(model, ds, epochs):
    fixed = ds.unbatch().batch(BS, drop_remainder=True)
    fixed = fixed.apply(tf.data.experimental.assert_cardinality(ROWS["train"] // BS))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model.fit(fixed, epochs=epochs, verbose=0)


@tf.function
def _step(model, opt, loss_obj, x, y):
    with tf.GradientTape() as tape:
        pred = model(x, training=True)
        loss = loss_obj(y, pred)
    grad = tape.gradient(loss, model.trainable_variables)
    opt.apply(grad, model.trainable_variables)
    return loss, pred


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam()
    opt.build(model.trainable_variables)
    loss_obj = keras.losses.CategoricalCrossentropy()
    train_loss, train_acc = keras.metrics.Mean(), keras.metrics.CategoricalAccuracy()
    logs = {"loss": [], "accuracy": []}
    for _ in range(epochs):
        train_loss.reset_state()
        train_acc.reset_state()
        for x, y in ds:
            loss, pred = _step(model, opt, loss_obj, x, y)
            train_loss.update_state(loss, sample_weight=tf.shape(x)[0])
            train_acc.update_state(y, pred)
        logs["loss"].append(float(train_loss.result()))
        logs["accuracy"].append(float(train_acc.result()))
    return logs
