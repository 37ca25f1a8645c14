"""Report: a shuffled dataset of (input, label) is split by two maps and zipped together again, and
the labels no longer belong to the inputs, since each branch runs the shuffle on its own.
Here with a siamese verifier: the loop wants pairs and labels as separate datasets.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "targets_misaligned"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/12851"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "first batch: pairs carry other pairs' labels"

DIM = 10
BATCH = 32


def _pairs(n, seed):
    rng = np.random.default_rng(seed)
    writers = np.random.default_rng(99).normal(size=(12, DIM))
    a, b, same = [], [], []
    for i in range(n):
        w = rng.integers(12)
        v = w if i % 2 == 0 else (w + rng.integers(1, 12)) % 12
        a.append(writers[w] + 0.4 * rng.normal(size=DIM))
        b.append(writers[v] + 0.4 * rng.normal(size=DIM))
        same.append(float(w == v))
    return np.float32(a), np.float32(b), np.float32(same)[:, None]


def make_dataset(split):
    a, b, same = _pairs(900, 1) if split == "train" else _pairs(200, 2)
    return tf.data.Dataset.from_tensor_slices(({"left": a, "right": b}, same)).batch(BATCH)


def build_model():
    keras.utils.set_random_seed(17)
    tower = keras.Sequential([
        keras.Input((DIM,)),
        keras.layers.Dense(24, activation="relu"),
        keras.layers.Dense(8),
    ])
    left, right = keras.Input((DIM,), name="left"), keras.Input((DIM,), name="right")
    diff = keras.layers.Subtract()([tower(left), tower(right)])
    sq = keras.layers.Multiply()([diff, diff])
    prob = keras.layers.Dense(1, activation="sigmoid")(sq)
    return keras.Model({"left": left, "right": right}, prob)


def shuffled_rows(ds):
    left = np.concatenate([p["left"].numpy() for p, _ in ds])
    right = np.concatenate([p["right"].numpy() for p, _ in ds])
    same = np.concatenate([s.numpy() for _, s in ds])
    rows = tf.data.Dataset.from_tensor_slices(({"left": left, "right": right}, same))
    return rows.shuffle(len(same), seed=3)


def keras_fit(model, ds, epochs):
    train = shuffled_rows(ds).batch(BATCH)
    model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="binary_crossentropy",
                  metrics=["binary_accuracy"])
    h = model.fit(train, epochs=epochs, verbose=0).history
    return model, {"loss": h["loss"], "binary_accuracy": h["binary_accuracy"]}


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(5e-3)
    bce = keras.losses.BinaryCrossentropy()
    loss_m, acc_m = keras.metrics.Mean(), keras.metrics.BinaryAccuracy()

    shuffled = shuffled_rows(ds)
    pair_ds = shuffled.map(lambda pair, label: pair)
    label_ds = shuffled.map(lambda pair, label: label)
    # some processing of the pairs used to stand here
    train = tf.data.Dataset.zip((pair_ds, label_ds)).batch(BATCH)

    @tf.function
    def train_one(pair, label):
        with tf.GradientTape() as tape:
            p = model(pair, training=True)
            loss = bce(label, p)
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        loss_m.update_state(loss, sample_weight=tf.shape(label)[0])
        acc_m.update_state(label, p)

    out = {"loss": [], "binary_accuracy": []}
    for _ in range(epochs):
        loss_m.reset_state()
        acc_m.reset_state()
        for pair, label in train:
            train_one(pair, label)
        out["loss"].append(float(loss_m.result()))
        out["binary_accuracy"].append(float(acc_m.result()))
    return model, out
