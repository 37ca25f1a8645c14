"""Report: "completely different results" from a generator fit and from train_on_batch in a loop.
Here the loop over train_on_batch and test_on_batch is right: it weighs each batch by its
rows, lowers the learning rate by a Python float like the scheduler of the other side, and
both come out equal.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "none"
SOURCE = "https://github.com/keras-team/keras/issues/12340"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

POINTS = 40
LR, FACTOR = 4e-3, 0.6


def make_dataset(split):
    rng = np.random.default_rng(61 if split == "train" else 62)
    n = 430 if split == "train" else 110
    grid = np.arange(POINTS)
    kind = rng.integers(0, 3, n)
    x = 0.35 * rng.normal(size=(n, POINTS))
    for i in range(n):
        for peak in range(kind[i] + 1):
            c = rng.uniform(4, POINTS - 4)
            x[i] += np.exp(-0.5 * ((grid - c) / 1.5) ** 2)
    ds = tf.data.Dataset.from_tensor_slices((x[..., None].astype("float32"), kind.astype("int32")))
    return ds.batch(16)  # the last one is smaller


def build_model():
    keras.utils.set_random_seed(28)
    m = keras.Sequential()
    m.add(keras.Input((POINTS, 1)))
    m.add(keras.layers.Conv1D(8, 5, activation="relu", kernel_regularizer="l2"))
    m.add(keras.layers.BatchNormalization(momentum=0.9))
    m.add(keras.layers.MaxPooling1D(2))
    m.add(keras.layers.Conv1D(12, 5, activation="relu"))
    m.add(keras.layers.GlobalMaxPooling1D())
    m.add(keras.layers.Dense(3, activation="softmax"))
    return m


def _compile(m):
    m.compile(optimizer=keras.optimizers.Nadam(learning_rate=LR),
              loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def keras_fit(model, ds, epochs):
    _compile(model)
    sched = keras.callbacks.LearningRateScheduler(lambda epoch, lr: LR * FACTOR ** epoch)
    h = model.fit(ds, validation_data=make_dataset("test"), epochs=epochs, callbacks=[sched],
                  verbose=0).history
    return model, {k: h[k] for k in ("loss", "accuracy", "val_loss", "val_accuracy")}


def custom_loop(model, ds, epochs):
    _compile(model)
    val = list(make_dataset("test").as_numpy_iterator())
    log = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}
    lr = LR
    for epoch in range(epochs):
        model.optimizer.learning_rate = lr
        sums = np.zeros(3)
        for x, y in ds.as_numpy_iterator():
            out = model.train_on_batch(x, y, return_dict=True)
            sums += len(x) * np.array([out["loss"], out["accuracy"], 1.0])
        log["loss"].append(sums[0] / sums[2])
        log["accuracy"].append(sums[1] / sums[2])
        sums = np.zeros(3)
        for x, y in val:
            out = model.test_on_batch(x, y, return_dict=True)
            sums += len(x) * np.array([out["loss"], out["accuracy"], 1.0])
        log["val_loss"].append(sums[0] / sums[2])
        log["val_accuracy"].append(sums[1] / sums[2])
        lr = lr * FACTOR
    return model, log
