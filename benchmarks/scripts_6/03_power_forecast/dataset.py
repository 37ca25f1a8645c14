import os

import keras
import numpy as np
import pandas as pd

HERE = os.path.dirname(os.path.abspath(__file__))


def load_frame(cfg):
    df = pd.read_csv(os.path.join(HERE, cfg["data"]["csv"]), parse_dates=["timestamp"])
    hour = df["timestamp"].dt.hour + df["timestamp"].dt.minute / 60.0
    df["hour_sin"] = np.sin(2 * np.pi * hour / 24)
    df["hour_cos"] = np.cos(2 * np.pi * hour / 24)
    df["weekend"] = (df["timestamp"].dt.dayofweek >= 5).astype(float)
    return df.drop(columns=["timestamp"])


def make_datasets(cfg):
    df = load_frame(cfg)
    n_train = int(len(df) * cfg["data"]["train_fraction"])
    mean, std = df[:n_train].mean(), df[:n_train].std().replace(0, 1)
    scaled = ((df - mean) / std).astype("float32")

    window, horizon = cfg["data"]["window"], cfg["data"]["horizon"]
    target = scaled[cfg["data"]["target"]].to_numpy()

    def windows(values, y, shuffle):
        return keras.utils.timeseries_dataset_from_array(
            data=values[:-horizon],
            targets=y[window + horizon - 1:],
            sequence_length=window,
            batch_size=cfg["training"]["batch_size"],
            shuffle=shuffle,
            seed=cfg["training"]["seed"],
        )

    values = scaled.to_numpy()
    train = windows(values[:n_train], target[:n_train], True)
    val = windows(values[n_train:], target[n_train:], False)
    return train, val, values.shape[1]
