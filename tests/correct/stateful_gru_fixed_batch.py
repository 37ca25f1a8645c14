"""Control. A stateful GRU on both sides with the state reset before each epoch on both: the correct form of a11."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "none"
SOURCE = "https://github.com/keras-team/keras/issues/2849"
MISTAKE_IN = None
FIRST_VISIBLE = None
ROWS, STEPS = 8, 6


def build_model():
    keras.utils.set_random_seed(19)
    series = keras.Input(batch_shape=(ROWS, STEPS, 1))
    h = layers.GRU(12, stateful=True, name="memory")(series)
    return keras.Model(series, layers.Dense(1)(h))


def make_dataset(split):
    rng = np.random.default_rng(90 if split == "train" else 91)
    windows = 12 if split == "train" else 5
    t = np.arange(windows * STEPS + 1)
    tracks = np.sin(t[None] * rng.uniform(0.02, 0.2, (ROWS, 1)) + rng.uniform(0, 6, (ROWS, 1)))
    tracks += rng.normal(0, 0.05, tracks.shape)
    x = np.concatenate([tracks[:, k * STEPS : (k + 1) * STEPS, None] for k in range(windows)])
    y = np.concatenate([tracks[:, (k + 1) * STEPS, None] for k in range(windows)])
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), y.astype("float32"))).batch(
        ROWS, drop_remainder=True
    )


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    fresh = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda e, logs: model.get_layer("memory").reset_state()
    )
    h = model.fit(ds, epochs=epochs, shuffle=False, callbacks=[fresh], verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    opt, mse = keras.optimizers.Adam(0.01), keras.losses.MeanSquaredError()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mse(y, model(x, training=True))
        opt.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        return loss

    log = {"loss": []}
    for _ in range(epochs):
        model.get_layer("memory").reset_state()
        log["loss"].append(float(np.mean([step(x, y) for x, y in ds])))
    return model, log
