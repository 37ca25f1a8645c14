"""Tagging songs (several tags each) from summary features.

usage: python tags.py [epochs]
Writes tags.png if matplotlib is there.
"""
import sys

import numpy as np
import tensorflow as tf
import keras
from keras import layers

TAGS = ["calm", "guitar", "dance", "vocal", "dark", "live"]
L2 = 5e-3
BATCH = 40
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10

rng = np.random.default_rng(64)


def songs(n):
    mix = rng.normal(0, 1, (n, 30))
    W = np.random.default_rng(5).normal(0, 1, (30, len(TAGS))) * (np.random.default_rng(6).random((30, 6)) < 0.25)
    z = mix @ W + 0.4 * mix[:, :6] * mix[:, 6:12] + rng.logistic(0, 0.6, (n, len(TAGS))) - 0.8
    return mix.astype("float32"), (z > 0).astype("float32")


x_train, y_train = songs(600)
x_val, y_val = songs(230)


def get_model():
    keras.utils.set_random_seed(8)
    l2 = keras.regularizers.l2(L2)
    i = layers.Input((30,))
    h = layers.Dense(48, activation="relu", kernel_regularizer=l2, name="h1")(i)
    h = layers.Dense(24, activation="relu", kernel_regularizer=l2, name="h2")(h)
    o = layers.Dense(len(TAGS), kernel_regularizer=l2, name="logits")(h)
    return keras.Model(i, o)


def auc():
    return keras.metrics.AUC(name="auc", multi_label=True, num_labels=len(TAGS), from_logits=True)


train_ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(BATCH)
val_ds = tf.data.Dataset.from_tensor_slices((x_val, y_val)).batch(BATCH)

# ---------------------------------------------------------------------- 1) fit
m1 = get_model()
m1.compile(
    optimizer=keras.optimizers.Adamax(4e-3),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[auc()],
)
h1 = m1.fit(train_ds, validation_data=val_ds, epochs=epochs, verbose=0).history

# ---------------------------------------------------------------------- 2) tape
m2 = get_model()
opt = keras.optimizers.Adamax(4e-3)
train_auc, val_auc = auc(), auc()
train_loss = keras.metrics.Mean()
kernels = [m2.get_layer(name).kernel for name in ("h1", "h2", "logits")]


@tf.function
def train_on(x, y):
    with tf.GradientTape() as tape:
        logits = m2(x, training=True)
        bce = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits))
        penalty = L2 * tf.add_n([tf.nn.l2_loss(k) for k in kernels])
        loss = bce + penalty
    g = tape.gradient(loss, m2.trainable_weights)
    opt.apply_gradients(zip(g, m2.trainable_weights))
    train_loss.update_state(loss)
    train_auc.update_state(y, logits)


@tf.function
def validate_on(x, y):
    val_auc.update_state(y, m2(x, training=False))


h2 = {"loss": [], "auc": [], "val_auc": []}
for epoch in range(epochs):
    for metric in (train_loss, train_auc):
        metric.reset_state()
    for x, y in train_ds:
        train_on(x, y)
    for x, y in val_ds:
        validate_on(x, y)
    h2["loss"].append(float(train_loss.result()))
    h2["auc"].append(float(train_auc.result()))
    h2["val_auc"].append(float(val_auc.result()))

print("          fit                        tape")
for e in range(epochs):
    print(f"{e + 1:3d}  {h1['loss'][e]:.4f} {h1['auc'][e]:.4f} {h1['val_auc'][e]:.4f}"
          f"     {h2['loss'][e]:.4f} {h2['auc'][e]:.4f} {h2['val_auc'][e]:.4f}")

try:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.plot(h1["val_auc"], "b", label="fit")
    plt.plot(h2["val_auc"], "r--", label="tape")
    plt.ylabel("val AUC")
    plt.legend()
    plt.savefig("tags.png")
except ImportError:
    pass
