import argparse

import numpy as np
import tensorflow as tf
import keras
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser(description="tabular classifier, plain training loop")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--lr", type=float, default=2e-3)
parser.add_argument("--l2", type=float, default=1e-4)
parser.add_argument("--seed", type=int, default=7)
args = parser.parse_args()

keras.utils.set_random_seed(args.seed)

# ---- data -----------------------------------------------------------------
X, y = load_breast_cancer(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(
    X, y, test_size=0.2, stratify=y, random_state=args.seed)

scaler = StandardScaler().fit(X_train)
X_train = scaler.transform(X_train).astype("float32")
X_val = scaler.transform(X_val).astype("float32")
y_train = y_train.astype("float32")[:, None]
y_val = y_val.astype("float32")[:, None]

train_ds = (tf.data.Dataset.from_tensor_slices((X_train, y_train))
            .shuffle(len(X_train), reshuffle_each_iteration=True)
            .batch(args.batch_size))
val_ds = tf.data.Dataset.from_tensor_slices((X_val, y_val)).batch(args.batch_size)
steps_per_epoch = int(np.ceil(len(X_train) / args.batch_size))
print(f"{len(X_train)} training rows, {len(X_val)} validation rows, {steps_per_epoch} steps per epoch")

# ---- model ----------------------------------------------------------------
reg = keras.regularizers.L2(args.l2)
inp = keras.Input((X_train.shape[1],))
h = keras.layers.Dense(32, kernel_regularizer=reg, use_bias=False)(inp)
h = keras.layers.BatchNormalization()(h)
h = keras.layers.ReLU()(h)
h = keras.layers.Dropout(0.3)(h)
h = keras.layers.Dense(16, activation="relu", kernel_regularizer=reg)(h)
out = keras.layers.Dense(1)(h)
model = keras.Model(inp, out)
model.summary()

schedule = keras.optimizers.schedules.CosineDecay(args.lr, decay_steps=args.epochs * steps_per_epoch)
optimizer = keras.optimizers.Adam(schedule)
loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

loss_avg = keras.metrics.Mean()
acc = keras.metrics.BinaryAccuracy(threshold=0.0)  # logits!
val_loss_avg = keras.metrics.Mean()
val_acc = keras.metrics.BinaryAccuracy(threshold=0.0)
val_auc = keras.metrics.AUC(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = loss_fn(y, logits) + tf.add_n(model.losses)
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    # the last batch is smaller, so weight with the number of rows
    loss_avg.update_state(loss, sample_weight=tf.shape(x)[0])
    acc.update_state(y, logits)


@tf.function
def val_step(x, y):
    logits = model(x, training=False)
    val_loss_avg.update_state(loss_fn(y, logits) + tf.add_n(model.losses),
                              sample_weight=tf.shape(x)[0])
    val_acc.update_state(y, logits)
    val_auc.update_state(y, logits)


for epoch in range(args.epochs):
    for m in (loss_avg, acc, val_loss_avg, val_acc, val_auc):
        m.reset_state()
    for xb, yb in train_ds:
        train_step(xb, yb)
    for xb, yb in val_ds:
        val_step(xb, yb)
    print(f"[{epoch + 1}/{args.epochs}] loss={loss_avg.result():.4f} acc={acc.result():.4f} "
          f"val_loss={val_loss_avg.result():.4f} val_acc={val_acc.result():.4f} "
          f"val_auc={val_auc.result():.4f}")
