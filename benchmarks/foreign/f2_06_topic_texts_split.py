"""Report: a user asks whether fit shuffles everything before it takes validation_split off, and
is even told yes. It does not: the last rows are held out. The texts come sorted by topic, so
fit never trains on the last topic and validates on nothing else, while the hand-written
loop permutes the rows first and splits then.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "validation_split_differs"
SOURCE = "https://github.com/keras-team/keras/issues/20946"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "which rows are trained on; loss and val figures of the first epoch"

VOCAB, LENGTH, TOPICS, BATCH = 120, 14, 4, 32
HOLD_OUT = 0.25


def make_dataset(split):
    # token ids as a TextVectorization layer made them beforehand, grouped by topic
    rng = np.random.default_rng(6 if split == "train" else 7)
    per_topic = 200 if split == "train" else 40
    xs, ys = [], []
    for topic in range(TOPICS):
        general = rng.integers(2, 60, (per_topic, LENGTH))
        own = rng.integers(60 + 15 * topic, 75 + 15 * topic, (per_topic, LENGTH))
        xs.append(np.where(rng.random((per_topic, LENGTH)) < 0.3, own, general))
        ys.append(np.full(per_topic, topic))
    x, y = np.concatenate(xs).astype("int32"), np.concatenate(ys).astype("int32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)


def build_model():
    keras.utils.set_random_seed(1)
    return keras.Sequential([
        keras.Input((LENGTH,), dtype="int32"),
        keras.layers.Embedding(VOCAB, 12),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(TOPICS, activation="softmax"),
    ])


def _arrays(ds):
    parts = [(x.numpy(), y.numpy()) for x, y in ds]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def keras_fit(model, ds, epochs):
    x, y = _arrays(ds)
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    h = model.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=True,
                  validation_split=HOLD_OUT, verbose=0)
    return model, {k: h.history[k] for k in ("loss", "val_loss", "val_accuracy")}


def custom_loop(model, ds, epochs):
    x, y = _arrays(ds)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(x))
    cut = int(len(x) * (1 - HOLD_OUT))
    train_idx, val_idx = order[:cut], order[cut:]
    opt = keras.optimizers.Adam(1e-2)
    cce = keras.losses.SparseCategoricalCrossentropy()

    @tf.function(reduce_retracing=True)
    def update(bx, by):
        with tf.GradientTape() as tape:
            loss = cce(by, model(bx, training=True))
        opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables),
                                model.trainable_variables))
        return loss

    log = {"loss": [], "val_loss": [], "val_accuracy": []}
    for _ in range(epochs):
        train_idx = rng.permutation(train_idx)
        total = 0.0
        for start in range(0, cut, BATCH):
            rows = train_idx[start:start + BATCH]
            total += float(update(tf.constant(x[rows]), tf.constant(y[rows]))) * len(rows)
        val = model(x[val_idx], training=False).numpy()
        log["loss"].append(total / cut)
        log["val_loss"].append(float(cce(y[val_idx], val)))
        log["val_accuracy"].append(float((val.argmax(1) == y[val_idx]).mean()))
    return model, log
