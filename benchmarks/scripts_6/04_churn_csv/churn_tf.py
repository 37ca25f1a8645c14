"""Telco churn - low level TensorFlow version (own loop, tf.nn loss)."""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.compose import ColumnTransformer
from sklearn.metrics import classification_report, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

BATCH, MAX_EPOCHS, PATIENCE, L2 = 32, 10, 3, 1e-3


def get_data():
    table = pd.read_csv(Path(__file__).with_name("churn.csv"))
    labels = table["Churn"].map({"No": 0, "Yes": 1}).to_numpy()
    train, test, ytr, yte = train_test_split(
        table, labels, test_size=0.2, random_state=42, stratify=labels
    )
    prep = ColumnTransformer(
        [
            ("num", StandardScaler(),
             ["SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges", "SupportCalls"]),
            ("cat", OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
             ["Contract", "InternetService", "PaymentMethod"]),
        ]
    )
    xtr = prep.fit_transform(train).astype(np.float32)
    xte = prep.transform(test).astype(np.float32)
    return xtr, xte, ytr.astype(np.float32), yte.astype(np.float32)


def build(n_in):
    reg = keras.regularizers.L2(L2)
    inp = keras.Input((n_in,), name="features")
    h = keras.layers.Dense(32, "relu", kernel_regularizer=reg)(inp)
    h = keras.layers.Dense(16, "relu", kernel_regularizer=reg)(h)
    return keras.Model(inp, keras.layers.Dense(1, name="logit")(h))


x_train, x_val, y_train, y_val = get_data()
n, n_pos = len(y_train), y_train.sum()
w_pos, w_neg = n / (2.0 * n_pos), n / (2.0 * (n - n_pos))

net = build(x_train.shape[1])
adam = keras.optimizers.Adam(3e-3)


def penalty():
    return tf.add_n(net.losses)


@tf.function
def step(x, y):
    w = tf.where(y > 0.5, tf.constant(w_pos, tf.float32), tf.constant(w_neg, tf.float32))
    with tf.GradientTape() as tape:
        z = tf.squeeze(net(x, training=True), -1)
        ce = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z)
        loss = tf.reduce_mean(w * ce) + penalty()
    g = tape.gradient(loss, net.trainable_variables)
    adam.apply(g, net.trainable_variables)
    return loss


def evaluate(x, y):
    z = tf.squeeze(net(x, training=False), -1)
    ce = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z))
    return float(ce + penalty()), roc_auc_score(y, tf.sigmoid(z).numpy())


data = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(n).batch(BATCH)

best, best_weights, since_best = np.inf, None, 0
for epoch in range(1, MAX_EPOCHS + 1):
    losses, sizes = [], []
    for xb, yb in data:
        losses.append(float(step(xb, yb)))
        sizes.append(len(yb))
    val_loss, val_auc = evaluate(x_val, y_val)
    print(f"{epoch:2d}  loss={np.average(losses, weights=sizes):.4f}  "
          f"val_loss={val_loss:.4f}  val_auc={val_auc:.4f}")

    if val_loss < best:
        best, best_weights, since_best = val_loss, net.get_weights(), 0
    else:
        since_best += 1
        if since_best >= PATIENCE:
            print("stopping early at epoch", epoch)
            break

net.set_weights(best_weights)

scores = net.predict(x_val, verbose=0)[:, 0]
print(classification_report(y_val.astype(int), (scores > 0).astype(int), digits=3))
