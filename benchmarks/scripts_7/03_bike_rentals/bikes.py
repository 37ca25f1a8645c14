"""Everything both training scripts need: data, net, schedule."""
import math

import numpy as np
import pandas as pd
import keras

BATCH = 48
EPOCHS = 10
PEAK_LR = 4e-3
WARMUP_EPOCHS = 2


def load_hours(n_days=70, seed=3):
    """Hourly rentals. Replaces the download of the real csv, same columns."""
    rng = np.random.default_rng(seed)
    t = pd.date_range("2023-03-01", periods=24 * n_days, freq="h")
    df = pd.DataFrame({"dteday": t, "hr": t.hour, "weekday": t.dayofweek})
    df["temp"] = 12 + 8 * np.sin(np.arange(len(df)) / 24 / n_days * 3) + rng.normal(0, 2, len(df))
    df["hum"] = np.clip(rng.normal(60, 15, len(df)), 10, 100)
    df["windspeed"] = rng.gamma(2.0, 5.0, len(df))
    rush = np.exp(-((df.hr - 8) ** 2) / 4) + 1.3 * np.exp(-((df.hr - 17.5) ** 2) / 5)
    work = (df.weekday < 5).astype(float)
    mean = 30 + 160 * rush * (0.4 + 0.6 * work) + 4 * (df.temp - 8) - 0.6 * (df.hum - 60)
    df["cnt"] = rng.poisson(np.clip(mean, 2, None))
    return df


def split(df, holdout_days=18):
    """The last days are for validation."""
    cut = df.dteday.max() - pd.Timedelta(days=holdout_days)
    return df[df.dteday <= cut], df[df.dteday > cut]


def features(df):
    h = 2 * np.pi * df.hr / 24
    w = 2 * np.pi * df.weekday / 7
    x = np.stack([np.sin(h), np.cos(h), np.sin(2 * h), np.cos(2 * h), np.sin(w), np.cos(w),
                  df.weekday >= 5, (df.temp - 15) / 8, (df.hum - 60) / 20, (df.windspeed - 10) / 8], axis=1)
    return x.astype("float32"), np.log1p(df.cnt.to_numpy("float32")).reshape(-1, 1)


def build():
    keras.utils.set_random_seed(2023)
    inputs = keras.Input((10,), name="hour")
    x = keras.layers.Dense(48, activation="gelu")(inputs)
    x = keras.layers.Dense(24, activation="gelu")(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


@keras.saving.register_keras_serializable("bikes")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warmup to the peak, then half a cosine down to zero. All in steps."""

    def __init__(self, peak, warmup, total):
        self.peak, self.warmup, self.total = peak, warmup, total

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        up = (step + 1.0) / self.warmup
        done = keras.ops.clip((step - self.warmup) / (self.total - self.warmup), 0.0, 1.0)
        down = 0.5 * (1.0 + keras.ops.cos(math.pi * done))
        return self.peak * keras.ops.where(step < self.warmup, up, down)

    def get_config(self):
        return {"peak": self.peak, "warmup": self.warmup, "total": self.total}
