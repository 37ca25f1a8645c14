"""Load forecast for a small grid. Some days have spikes (meter resets), so gradients are clipped
by global norm. `train_fit` is the baseline, `train_custom` logs the gradient norm as well."""
import keras
import numpy as np
import tensorflow as tf
from keras import layers

WINDOW, BATCH, EPOCHS, MAX_NORM = 24, 32, 6, 3.0


def meter(n=1600, seed=31):
    r = np.random.default_rng(seed)
    t = np.arange(n + WINDOW)
    load = np.sin(2 * np.pi * t / 24) + 0.3 * np.sin(2 * np.pi * t / 168) + 0.1 * r.normal(size=t.shape)
    spikes = r.choice(np.arange(900, n), size=5, replace=False)
    load[spikes] += r.choice([-1, 1], 5) * r.uniform(15, 25, 5)
    x = np.stack([load[i:i + WINDOW] for i in range(n)])[..., None].astype("float32")
    return x, load[WINDOW:WINDOW + n, None].astype("float32")


def network():
    keras.utils.set_random_seed(1)
    return keras.Sequential([
        keras.Input((WINDOW, 1)),
        layers.Conv1D(16, 3, activation="tanh"),
        layers.GRU(16),
        layers.Dense(1),
    ])


def pipeline(x, y, training):
    ds = tf.data.Dataset.from_tensor_slices((x, y))
    if training:
        ds = ds.shuffle(len(x), reshuffle_each_iteration=True)
    return ds.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def train_fit(x, y):
    model = network()
    model.compile(optimizer=keras.optimizers.SGD(0.02, momentum=0.9, global_clipnorm=MAX_NORM), loss="mse")
    model.fit(pipeline(x, y, True), epochs=EPOCHS, verbose=2)
    return model


def train_custom(x, y):
    model = network()
    opt = keras.optimizers.SGD(0.02, momentum=0.9)
    mse = keras.losses.MeanSquaredError()
    seen_loss, seen_norm = keras.metrics.Mean(), keras.metrics.Mean()

    @tf.function
    def step(xb, yb):
        with tf.GradientTape() as tape:
            loss = mse(yb, model(xb, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        clipped, norm = tf.clip_by_global_norm(grads, MAX_NORM)
        opt.apply_gradients(zip(grads, model.trainable_variables))
        seen_loss.update_state(loss, tf.shape(xb)[0])
        seen_norm.update_state(tf.minimum(norm, MAX_NORM))

    for epoch in range(1, EPOCHS + 1):
        seen_loss.reset_state()
        seen_norm.reset_state()
        for xb, yb in pipeline(x, y, True):
            step(xb, yb)
        print(f"Epoch {epoch}: loss {seen_loss.result():.4f}, gradient norm {seen_norm.result():.3f}")
    return model


if __name__ == "__main__":
    x, y = meter()
    a = train_fit(x, y)
    b = train_custom(x, y)
    quiet, target = meter(seed=32)
    for label, m in (("fit", a), ("custom", b)):
        print(label, "mean abs error", np.abs(m.predict(quiet, verbose=0) - target).mean())
