# Forecast of the temperature in 24 h from the last 48 h (hourly values), LSTM
import math

import numpy as np
import pandas as pd
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import tensorflow as tf
from tensorflow.keras.callbacks import EarlyStopping, LearningRateScheduler, ModelCheckpoint
from tensorflow.keras.layers import LSTM, Dense, Dropout
from tensorflow.keras.models import Sequential

tf.random.set_seed(0)
np.random.seed(0)

# ------------------- data (replace by the CSV of the weather service)
hours = pd.date_range("2022-06-01", periods=24 * 120, freq="h")
h = np.arange(len(hours))
noise = np.zeros(len(h))
for i in range(1, len(h)):
    noise[i] = 0.97 * noise[i - 1] + np.random.normal(scale=0.35)
df = pd.DataFrame({
    "temp": 17 + 2 * np.sin(2 * np.pi * (h / 24 + 50) / 365) + 4 * np.sin(2 * np.pi * (h - 9) / 24) + noise,
    "sin_h": np.sin(2 * np.pi * h / 24),
    "cos_h": np.cos(2 * np.pi * h / 24),
}, index=hours)
print(df.describe())

n_train, n_val = int(len(df) * 0.7), int(len(df) * 0.15)
mu, sigma = df[:n_train].mean(), df[:n_train].std()
values = ((df - mu) / sigma).values.astype("float32")

LOOKBACK, AHEAD = 48, 24


def windows(start, stop):
    xs, ys = [], []
    for t in range(start + LOOKBACK, stop - AHEAD):
        xs.append(values[t - LOOKBACK:t])
        ys.append(values[t + AHEAD - 1, 0])
    return np.array(xs), np.array(ys)


x_train, y_train = windows(0, n_train)
x_val, y_val = windows(n_train, n_train + n_val)
x_test, y_test = windows(n_train + n_val, len(df))
print(x_train.shape, x_val.shape, x_test.shape)

# ------------------- model
model = Sequential()
model.add(tf.keras.Input(shape=(LOOKBACK, 3)))
model.add(LSTM(24))
model.add(Dropout(0.2))
model.add(Dense(16, activation="relu"))
model.add(Dense(1))
model.compile(loss="mae", optimizer="adam", metrics=["mse"])
model.summary()


def step_decay(epoch):
    return 0.004 * math.pow(0.5, math.floor((1 + epoch) / 3))


callbacks = [
    EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True, verbose=1),
    LearningRateScheduler(step_decay),
    ModelCheckpoint("best.keras", save_best_only=True),
]

history = model.fit(x_train, y_train, epochs=8, batch_size=64,
                    validation_data=(x_val, y_val), callbacks=callbacks, verbose=2)

test_mae, _ = model.evaluate(x_test, y_test, verbose=0)
print("test MAE: %.2f degrees" % (test_mae * sigma["temp"]))
naive = np.mean(np.abs(x_test[:, -1, 0] - y_test)) * sigma["temp"]
print("naive (same hour, day before): %.2f degrees" % naive)

fig, ax = plt.subplots(1, 2, figsize=(12, 4))
ax[0].plot(history.history["loss"], label="train")
ax[0].plot(history.history["val_loss"], label="val")
ax[0].legend()
ax[1].plot(y_test[:200], label="true")
ax[1].plot(model.predict(x_test[:200])[:, 0], label="predicted")
ax[1].legend()
plt.savefig("forecast.png")
