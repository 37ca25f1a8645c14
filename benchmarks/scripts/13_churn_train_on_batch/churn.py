#!/usr/bin/env python3
"""Churn prediction. I switched from fit() to train_on_batch() because the real data does not fit
into memory. This is the check on a small sample that both do the same."""

import random

import numpy as np
import tensorflow as tf
from tensorflow import keras

SEED = 2023
random.seed(SEED)
np.random.seed(SEED)
tf.random.set_seed(SEED)

BATCH_SIZE = 64
EPOCHS = 5


def sample_customers(n):
    tenure = np.random.exponential(24, n)
    monthly = np.random.normal(65, 22, n)
    calls = np.random.poisson(1.1, n)
    contract = np.random.choice(3, n, p=[.55, .25, .2])
    senior = np.random.rand(n) < .16
    z = -1.7 - .045 * tenure + .018 * (monthly - 65) + .55 * calls - 1.1 * contract + .4 * senior
    churn = (np.random.rand(n) < 1 / (1 + np.exp(-z))).astype(np.float32)
    feats = np.column_stack([np.log1p(tenure), (monthly - 65) / 22, calls, contract == 0,
                             contract == 1, contract == 2, senior])
    return feats.astype(np.float32), churn


X, y = sample_customers(3000)
X_val, y_val = sample_customers(600)

n_pos = y.sum()
class_weight = {0: len(y) / (2 * (len(y) - n_pos)), 1: len(y) / (2 * n_pos)}
print("churn rate %.3f" % y.mean(), "class weights", class_weight)


def create_model():
    model = keras.Sequential([
        keras.layers.Input((X.shape[1],)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.25),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(
        optimizer=keras.optimizers.Nadam(learning_rate=1e-3),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model


print("\n=== fit ===")
model_fit = create_model()
initial_weights = model_fit.get_weights()
model_fit.summary()
model_fit.fit(X, y, batch_size=BATCH_SIZE, epochs=EPOCHS, class_weight=class_weight,
              validation_data=(X_val, y_val), verbose=2)

print("\n=== train_on_batch ===")
model_tob = create_model()
model_tob.set_weights(initial_weights)

indices = np.arange(len(X))
for epoch in range(EPOCHS):
    np.random.shuffle(indices)
    loss_sum, acc_sum = 0.0, 0.0
    for start in range(0, len(X), BATCH_SIZE):
        batch = indices[start:start + BATCH_SIZE]
        loss, acc = model_tob.train_on_batch(X[batch], y[batch], class_weight=class_weight)
        loss_sum += loss * len(batch)
        acc_sum += acc * len(batch)
    val_loss, val_acc = model_tob.evaluate(X_val, y_val, verbose=0)
    print("Epoch %d/%d - loss: %.4f - accuracy: %.4f - val_loss: %.4f - val_accuracy: %.4f" % (
        epoch + 1, EPOCHS, loss_sum / len(X), acc_sum / len(X), val_loss, val_acc))

p1 = model_fit.predict(X_val, verbose=0).ravel()
p2 = model_tob.predict(X_val, verbose=0).ravel()
print("\ncorrelation of the predictions: %.4f" % np.corrcoef(p1, p2)[0, 1])
for thr in (.3, .5, .7):
    print("thr %.1f  flagged by fit: %4d  by train_on_batch: %4d" % (thr, (p1 > thr).sum(), (p2 > thr).sum()))
