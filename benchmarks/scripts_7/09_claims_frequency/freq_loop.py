"""Claim frequency again, this time counts with an offset as the actuaries write it.

    log E[claims] = log(exposure) + f(x)        (f = small MLP)

The constant sum(log(claims!)) is left out, it does not depend on f.
"""
import csv
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from sklearn.utils import check_random_state

BATCH, EPOCHS, TRAIN_SHARE = 64, 12, 0.8


def read(path):
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    # same order as DataFrame.sample(frac=1, random_state=2024) in the other script
    order = check_random_state(2024).permutation(len(rows))
    rows = [rows[i] for i in order]
    num = np.array([[float(r[c]) for c in ("veh_power", "veh_age", "driv_age", "bonus_malus")] for r in rows])
    n_train = int(TRAIN_SHARE * len(rows))
    scaled = (num - num[:n_train].mean(0)) / num[:n_train].std(0)
    young = (num[:, 2] < 26)[:, None]
    area = np.array([[r["area"] == a for a in "ABCDE"] for r in rows])
    diesel = np.array([[r["fuel"] == "diesel"] for r in rows])
    x = np.hstack([scaled, young, area, diesel]).astype("float32")
    claims = np.array([r["claims"] for r in rows], "float32")
    exposure = np.array([r["exposure"] for r in rows], "float32")
    return x, claims, exposure, n_train


x, claims, exposure, n_train = read(Path(__file__).with_name("policies.csv"))

keras.utils.set_random_seed(31)
f = keras.Sequential([
    keras.Input((x.shape[1],)),
    keras.layers.Dense(20, activation="tanh"),
    keras.layers.Dense(8, activation="tanh"),
    keras.layers.Dense(1),
])
# start at the overall frequency
f.layers[-1].bias.assign([np.log(claims[:n_train].sum() / exposure[:n_train].sum())])

optimizer = keras.optimizers.Nadam(learning_rate=3e-3)


def nll(x, claims, exposure, training):
    log_rate = tf.squeeze(f(x, training=training), axis=-1)
    terms = exposure * tf.exp(log_rate) - claims * log_rate     # log(exposure) * claims is constant
    abs_err = tf.abs(claims - exposure * tf.exp(log_rate))      # = exposure * |freq - rate|
    return terms, abs_err


@tf.function
def fit_batch(x, claims, exposure):
    with tf.GradientTape() as tape:
        terms, abs_err = nll(x, claims, exposure, training=True)
        loss = tf.reduce_mean(terms)
    grads = tape.gradient(loss, f.trainable_variables)
    optimizer.apply_gradients(zip(grads, f.trainable_variables))
    return tf.reduce_sum(terms), tf.reduce_sum(abs_err)


data = tf.data.Dataset.from_tensor_slices(
    (x[:n_train], claims[:n_train], exposure[:n_train])).batch(BATCH)
held_out = [tf.constant(a[n_train:]) for a in (x, claims, exposure)]

print("epoch     loss      mae  val_loss  val_mae")
for epoch in range(1, EPOCHS + 1):
    sums = np.zeros(2)
    for batch in data:
        sums += [float(s) for s in fit_batch(*batch)]
    terms, abs_err = nll(*held_out, training=False)
    print(f"{epoch:5d}  {sums[0] / n_train:.5f}  {sums[1] / exposure[:n_train].sum():.5f}"
          f"  {tf.reduce_mean(terms):.5f}  {tf.reduce_sum(abs_err) / tf.reduce_sum(held_out[2]):.5f}")

expected = tf.reduce_sum(held_out[2] * tf.exp(f(held_out[0])[:, 0]))
print(f"validation: {int(claims[n_train:].sum())} claims, {float(expected):.1f} expected by the model")
