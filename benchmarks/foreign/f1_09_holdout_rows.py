"""Tabular flower data which come sorted by class. fit(validation_split=0.2) cuts off the last
rows before it shuffles (the complaint of the report), i.e. nearly the whole last class;
the numpy loop shuffles first and then cuts. So the two train on different rows.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "validation_split_differs"
SOURCE = "https://github.com/keras-team/keras/issues/6422"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "the set of rows which are trained on in the first epoch"

BATCH, HOLD = 16, 0.2


def build_model():
    keras.utils.set_random_seed(12)
    return keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(20, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ])


def make_dataset(split):
    rng = np.random.default_rng(300 if split == "train" else 301)
    per = 160 if split == "train" else 40
    centers = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
    x = np.concatenate([c + rng.normal(0, 0.35, (per, 4)) for c in centers]).astype("float32")
    y = np.repeat(np.arange(3), per)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)


def as_arrays(ds):
    xs, ys = zip(*[(a.numpy(), b.numpy()) for a, b in ds])
    return np.concatenate(xs), np.concatenate(ys)


def keras_fit(model, ds, epochs):
    x, y = as_arrays(ds)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["acc"])
    h = model.fit(x, y, batch_size=BATCH, epochs=epochs, validation_split=HOLD, shuffle=True, verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    x, y = as_arrays(ds)
    rng = np.random.default_rng(0)
    perm = rng.permutation(len(x))
    x, y = x[perm], y[perm]
    cut = int(len(x) * (1 - HOLD))
    x_tr, y_tr, x_va, y_va = x[:cut], y[:cut], x[cut:], y[cut:]

    opt = keras.optimizers.Adam(0.01)
    xent = keras.losses.SparseCategoricalCrossentropy()
    log = {"loss": [], "acc": [], "val_loss": [], "val_acc": []}

    @tf.function(reduce_retracing=True)
    def fwd_bwd(xb, yb):
        with tf.GradientTape() as tape:
            p = model(xb, training=True)
            l = xent(yb, p)
        opt.apply_gradients(zip(tape.gradient(l, model.trainable_variables), model.trainable_variables))
        return l, p

    for e in range(epochs):
        order = rng.permutation(cut)
        tot, ok = 0.0, 0
        for i in range(0, cut, BATCH):
            rows = order[i:i + BATCH]
            l, p = fwd_bwd(tf.constant(x_tr[rows]), tf.constant(y_tr[rows]))
            tot += float(l) * len(rows)
            ok += (p.numpy().argmax(1) == y_tr[rows]).sum()
        pv = model(x_va, training=False)
        log["loss"].append(tot / cut)
        log["acc"].append(float(ok / cut))
        log["val_loss"].append(float(xent(y_va, pv)))
        log["val_acc"].append(float((pv.numpy().argmax(1) == y_va).mean()))
        print(f"{e:3d} loss {log['loss'][-1]:.3f} acc {log['acc'][-1]:.3f} "
              f"val_loss {log['val_loss'][-1]:.3f} val_acc {log['val_acc'][-1]:.3f}")
    return model, log
