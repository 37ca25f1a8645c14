# Card fraud toy example: keras fit vs. my own training loop
# (based on the imbalanced classification notebook + some snippets from stackoverflow)
#
# usage: python fraud.py
import os
import tempfile
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
import keras
from keras import backend as K
from keras import ops
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import RobustScaler
from tqdm import tqdm

SEED = 7
BATCH_SIZE = 64
EPOCHS = 8

# --- load -------------------------------------------------------------------
X, y = make_classification(
    n_samples=3000, n_features=16, n_informative=8, weights=[0.93], flip_y=0.02,
    class_sep=1.2, random_state=SEED)
df = pd.DataFrame(X, columns=["V%d" % i for i in range(1, 17)])
df["Amount"] = np.exp(np.random.RandomState(SEED).normal(3, 1, len(df))).round(2)
df["Class"] = y
print(df.Class.value_counts(normalize=True))

train_df, val_df = train_test_split(df, test_size=0.25, stratify=df.Class, random_state=SEED)
train_y = train_df.pop("Class").to_numpy("float32").reshape(-1, 1)
val_y = val_df.pop("Class").to_numpy("float32").reshape(-1, 1)
scaler = RobustScaler().fit(train_df)
train_x = scaler.transform(train_df).astype("float32")
val_x = scaler.transform(val_df).astype("float32")


def make_ds(x, y, shuffle):
    ds = tf.data.Dataset.from_tensor_slices((x, y))
    if shuffle:
        ds = ds.shuffle(len(x), seed=SEED)
    return ds.batch(BATCH_SIZE)


def make_model():
    keras.utils.set_random_seed(SEED)
    return keras.Sequential([
        keras.Input((train_x.shape[1],)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(16, activation="relu"),
        # start with the right base rate, otherwise first epochs are wasted
        keras.layers.Dense(1, activation="sigmoid",
                           bias_initializer=keras.initializers.Constant(np.log(train_y.mean() / (1 - train_y.mean())))),
    ])


# --- metrics: keras has no f1 for the binary case with a threshold as i want it ---
def recall_m(y_true, y_pred):
    tp = ops.sum(ops.round(ops.clip(y_true * y_pred, 0, 1)))
    return tp / (ops.sum(ops.round(ops.clip(y_true, 0, 1))) + K.epsilon())


def precision_m(y_true, y_pred):
    tp = ops.sum(ops.round(ops.clip(y_true * y_pred, 0, 1)))
    return tp / (ops.sum(ops.round(ops.clip(y_pred, 0, 1))) + K.epsilon())


def f1_m(y_true, y_pred):
    p = precision_m(y_true, y_pred)
    r = recall_m(y_true, y_pred)
    return 2 * p * r / (p + r + K.epsilon())


# --- 1) fit -------------------------------------------------------------------
model = make_model()
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy", metrics=[f1_m])
h = model.fit(make_ds(train_x, train_y, True), validation_data=make_ds(val_x, val_y, False),
              epochs=EPOCHS, verbose=2)
fit_log = pd.DataFrame(h.history).rename(columns={"f1_m": "f1", "val_f1_m": "val_f1"})

# --- 2) loop ------------------------------------------------------------------
model2 = make_model()
optimizer = keras.optimizers.Adam(1e-3)
bce = keras.losses.BinaryCrossentropy()


@tf.function
def step(x, y):
    with tf.GradientTape() as tape:
        p = model2(x, training=True)
        loss = bce(y, p)
    g = tape.gradient(loss, model2.trainable_weights)
    optimizer.apply_gradients(zip(g, model2.trainable_weights))
    return loss, p


class Counter:
    """loss + f1 of one pass over the data"""

    def __init__(self):
        self.n = self.loss = self.tp = self.fp = self.fn = 0.0

    def add(self, y, p, loss):
        y, p = y.numpy() > 0.5, p.numpy() > 0.5
        self.n += len(y)
        self.loss += float(loss) * len(y)
        self.tp += np.sum(y & p)
        self.fp += np.sum(~y & p)
        self.fn += np.sum(y & ~p)

    def result(self):
        f1 = 2 * self.tp / max(2 * self.tp + self.fp + self.fn, 1)
        return self.loss / self.n, f1


loop_rows = []
train_ds, val_ds = make_ds(train_x, train_y, True), make_ds(val_x, val_y, False)
for epoch in range(EPOCHS):
    tr, va = Counter(), Counter()
    for xb, yb in tqdm(train_ds, desc="epoch %d" % (epoch + 1), leave=False, disable=None):
        loss, p = step(xb, yb)
        tr.add(yb, p, loss)
    for xb, yb in val_ds:
        p = model2(xb, training=False)
        va.add(yb, p, bce(yb, p))
    (l, f), (vl, vf) = tr.result(), va.result()
    loop_rows.append(dict(f1=f, loss=l, val_f1=vf, val_loss=vl))
    print("epoch %d  loss %.4f  f1 %.4f  val_loss %.4f  val_f1 %.4f" % (epoch + 1, l, f, vl, vf))
loop_log = pd.DataFrame(loop_rows)

# --- compare ------------------------------------------------------------------
print(fit_log.join(loop_log, lsuffix="_fit", rsuffix="_loop").round(4).T)
fig, axes = plt.subplots(1, 2, figsize=(9, 3))
for ax, k in zip(axes, ["val_loss", "val_f1"]):
    ax.plot(fit_log[k], label="fit")
    ax.plot(loop_log[k], "--", label="loop")
    ax.set_title(k)
    ax.legend()
fig.savefig(os.path.join(tempfile.gettempdir(), "fraud_curves.png"))
