"""Stateful LSTM over long sensor series that are cut into consecutive windows; the state
has to be cleared between epochs (the question asked again and again: does fit reset it?).
The fit side resets in a callback. The loop looks for stateful layers in model.layers, but
the LSTM sits inside the nested `body` model, so nothing is ever reset.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "recurrent_state_not_reset"
SOURCE = "https://github.com/keras-team/keras/issues/4756"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "forward output of the first batch of the second epoch"

N_SERIES, WIN, N_WIN = 16, 10, 24


def build_model():
    keras.utils.set_random_seed(99)
    body = keras.Sequential([
        keras.Input(batch_shape=(N_SERIES, WIN, 2)),
        keras.layers.LSTM(12, stateful=True, return_sequences=True, name="memory"),
        keras.layers.Dense(8, activation="relu"),
    ], name="body")
    x = keras.Input(batch_shape=(N_SERIES, WIN, 2))
    return keras.Model(x, keras.layers.Dense(1)(body(x)))


def make_dataset(split):
    rng = np.random.default_rng(41 if split == "train" else 42)
    steps = WIN * (N_WIN if split == "train" else 6)
    drive = rng.normal(size=(N_SERIES, steps, 2)).astype("float32")
    level = np.cumsum(drive[..., 0], axis=1) * 0.15 + 2.0       # slow drift
    target = np.tanh(level) + 0.3 * drive[..., 1]
    # batch k holds window k of every series
    xs = np.concatenate(np.split(drive, steps // WIN, axis=1))
    ys = np.concatenate(np.split(target[..., None].astype("float32"), steps // WIN, axis=1))
    return tf.data.Dataset.from_tensor_slices((xs, ys)).batch(N_SERIES, drop_remainder=True)


class ResetStates(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.get_layer("body").get_layer("memory").reset_states()


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    out = model.fit(ds, epochs=epochs, shuffle=False, callbacks=[ResetStates()], verbose=0)
    return model, {"loss": out.history["loss"]}


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(0.01)
    mse = keras.losses.MeanSquaredError()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            err = mse(y, model(x, training=True))
        g = tape.gradient(err, model.trainable_variables)
        opt.apply_gradients(zip(g, model.trainable_variables))
        return err

    log = {"loss": []}
    for ep in range(epochs):
        for layer in model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_states()
        errs = [step(x, y).numpy() for x, y in ds]
        log["loss"].append(float(np.mean(errs)))
        print(f"[{ep + 1}/{epochs}] mse={log['loss'][-1]:.4f}")
    return model, log
