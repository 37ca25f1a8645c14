"""Report: a reader asks whether the states of a stateful recurrent net should be reset after each
epoch, and the author had thought that it happens by itself, which it does not.
Successive batches continue the same eight meters; the loop clears the state at the start of
every epoch, fit goes into the second epoch with the state the series ended with.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "recurrent_state_not_reset"
SOURCE = "https://github.com/ahstat/deep-learning/issues/1"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "forward output of the second epoch's first batch"

METERS = 20   # = batch size, every batch holds the next piece of each meter
PIECE = 6
PIECES = {"train": 18, "test": 6}


def make_dataset(split):
    rng = np.random.default_rng(2 if split == "train" else 3)
    total = PIECES[split] * PIECE
    load = rng.normal(size=(METERS, total, 2)).astype("float32")
    trend = np.linspace(-1.0, 1.5, total)[None, :, None]
    load += trend.astype("float32")
    level = np.zeros((METERS, total), "float32")
    run = np.zeros(METERS, "float32")
    for t in range(total):
        run = 0.97 * run + 0.1 * load[:, t, 0]
        level[:, t] = run
    xs, ys = [], []
    for k in range(PIECES[split]):
        part = slice(k * PIECE, (k + 1) * PIECE)
        xs.append(load[:, part])
        ys.append(level[:, part][:, -1:])
    x, y = np.concatenate(xs), np.concatenate(ys)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(METERS, drop_remainder=True)


def build_model():
    keras.utils.set_random_seed(303)
    inp = keras.Input(batch_shape=(METERS, PIECE, 2))
    h = keras.layers.GRU(12, stateful=True, name="memory")(inp)
    return keras.Model(inp, keras.layers.Dense(1)(h))


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    model.get_layer("memory").reset_state()
    history = model.fit(ds, epochs=epochs, shuffle=False, verbose=0)
    return model, {"loss": history.history["loss"]}


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01)
    losses = []

    @tf.function
    def piece_step(x, y):
        with tf.GradientTape() as tape:
            guess = model(x, training=True)
            err = tf.reduce_mean(tf.math.squared_difference(guess, y))
        gradients = tape.gradient(err, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return err

    for epoch in range(epochs):
        for layer in model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()
        epoch_err = []
        for x, y in ds:
            epoch_err.append(float(piece_step(x, y)))
        losses.append(sum(epoch_err) / len(epoch_err))
    return model, {"loss": losses}
