"""Synthetic stand-in for the SCADA export (the real one may not be shared)."""
import numpy as np
import tensorflow as tf


def load(n=900, seed=21):
    rng = np.random.default_rng(seed)
    wind = rng.weibull(2.0, n) * 8.0
    yaw = rng.normal(0, 6, n)
    pitch = np.clip(rng.normal(2, 3, n) + 0.8 * np.maximum(wind - 12, 0), -2, 25)
    temp = rng.normal(11, 7, n)
    rho = 1.225 * 288.15 / (273.15 + temp)
    power = 0.5 * rho * wind ** 3 * np.cos(np.radians(yaw)) ** 3 / (1 + 0.06 * pitch ** 2)
    power = np.minimum(power, 900) / 900 + rng.normal(0, 0.07, n)
    x = np.stack([wind, yaw, pitch, temp], axis=1)
    n_train = int(n * 0.75)
    mean, std = x[:n_train].mean(0), x[:n_train].std(0)
    x = ((x - mean) / std).astype("float32")
    y = power.astype("float32")[:, None]
    return (x[:n_train], y[:n_train]), (x[n_train:], y[n_train:])


def as_dataset(pair, batch_size):
    # rows are independent draws, no need to shuffle
    return tf.data.Dataset.from_tensor_slices(pair).batch(batch_size).prefetch(2)
