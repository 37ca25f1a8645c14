# House prices, first with keras (like in the Auto MPG tutorial), then by hand to
# understand what happens inside of fit(). The two curves have nothing to do with each other.

from __future__ import absolute_import, division, print_function

import numpy as np
import pandas as pd
import matplotlib.pyplot as plt

import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

raw_dataset = pd.read_csv("houses.csv")
dataset = raw_dataset.copy()
print(dataset.tail())
print(dataset.isna().sum())

# one hot
kind = dataset.pop("Type")
dataset["detached"] = (kind == "detached") * 1.0
dataset["terrace"] = (kind == "terrace") * 1.0
dataset["flat"] = (kind == "flat") * 1.0

train_dataset = dataset.sample(frac=0.8, random_state=0)
test_dataset = dataset.drop(train_dataset.index)

train_stats = train_dataset.describe()
train_stats.pop("Price")
train_stats = train_stats.transpose()
print(train_stats)

train_labels = train_dataset.pop("Price")
test_labels = test_dataset.pop("Price")


def norm(x):
    return (x - train_stats["mean"]) / train_stats["std"]


normed_train_data = norm(train_dataset)
normed_test_data = norm(test_dataset)


def build_model():
    model = keras.Sequential([
        layers.Dense(64, activation="relu", input_shape=[len(train_dataset.keys())]),
        layers.Dense(64, activation="relu"),
        layers.Dense(1)
    ])
    return model


EPOCHS = 5
BATCH = 32

########## KERAS ##########
model = build_model()
optimizer = keras.optimizers.RMSprop(0.01)
model.compile(loss="mse", optimizer=optimizer, metrics=["mae", "mse"])
model.summary()

history = model.fit(train_dataset, train_labels,
                    epochs=EPOCHS, batch_size=BATCH, verbose=2)

loss, mae, mse = model.evaluate(test_dataset, test_labels, verbose=0)
print("keras: Testing set Mean Abs Error: {:5.2f} k".format(mae))

hist = pd.DataFrame(history.history)
hist["epoch"] = history.epoch
print(hist.tail())

########## BY HAND ##########
x_tr = normed_train_data.values.astype("float32")
y_tr = train_labels.values.astype("float32").reshape(-1, 1)
x_te = normed_test_data.values.astype("float32")
y_te = test_labels.values.astype("float32").reshape(-1, 1)

net = build_model()
opt = keras.optimizers.RMSprop(0.01)

ds = tf.data.Dataset.from_tensor_slices((x_tr, y_tr)).shuffle(len(x_tr)).batch(BATCH)

log = []
for epoch in range(EPOCHS):
    mse_sum = 0.0
    mae_sum = 0.0
    count = 0
    for xb, yb in ds:
        with tf.GradientTape() as tape:
            y_hat = net(xb, training=True)
            loss = tf.reduce_mean(tf.square(y_hat - yb))
        grads = tape.gradient(loss, net.trainable_variables)
        opt.apply_gradients(zip(grads, net.trainable_variables))
        mse_sum += float(loss) * xb.shape[0]
        mae_sum += float(tf.reduce_sum(tf.abs(y_hat - yb)))
        count += xb.shape[0]
    log.append({"epoch": epoch, "mse": mse_sum / count, "mae": mae_sum / count})
    print("epoch", epoch, "mse", mse_sum / count, "mae", mae_sum / count)

test_mae = np.mean(np.abs(net.predict(x_te, verbose=0) - y_te))
print("by hand: Testing set Mean Abs Error: {:5.2f} k".format(test_mae))

log = pd.DataFrame(log)
plt.figure()
plt.xlabel("Epoch")
plt.ylabel("Mean Abs Error [k]")
plt.plot(hist["epoch"], hist["mae"], label="keras")
plt.plot(log["epoch"], log["mae"], label="by hand")
plt.legend()
plt.savefig("mae.png")
plt.show()
