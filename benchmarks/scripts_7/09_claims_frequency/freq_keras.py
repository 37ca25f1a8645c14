"""Claim frequency (Poisson) on the policy table, Keras version.

Target = claims per year of exposure, and the exposure goes in as sample weight. That is the usual
trick, it is the same likelihood as counts with an offset.
"""
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
NUMERIC = ["veh_power", "veh_age", "driv_age", "bonus_malus"]

df = pd.read_csv(HERE / "policies.csv").sample(frac=1.0, random_state=2024).reset_index(drop=True)
X = pd.concat(
    [
        df[NUMERIC],
        (df.driv_age < 26).rename("young"),
        pd.get_dummies(df.area, prefix="area"),
        (df.fuel == "diesel").rename("diesel"),
    ],
    axis=1,
).astype("float32")
freq = (df.claims / df.exposure).to_numpy("float32")
expo = df.exposure.to_numpy("float32")

n_train = int(0.8 * len(df))
mean, std = X[NUMERIC][:n_train].mean(), X[NUMERIC][:n_train].std(ddof=0)
X[NUMERIC] = (X[NUMERIC] - mean) / std
X = X.to_numpy("float32")
print(f"{n_train} policies for training, {len(df) - n_train} for validation, "
      f"overall frequency {df.claims.sum() / df.exposure.sum():.3f}")

keras.utils.set_random_seed(31)
model = keras.Sequential(
    [
        keras.Input((X.shape[1],)),
        keras.layers.Dense(20, activation="tanh"),
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.Dense(
            1,
            activation="exponential",
            bias_initializer=keras.initializers.Constant(float(np.log(df.claims[:n_train].sum() / expo[:n_train].sum()))),
        ),
    ]
)
model.compile(
    optimizer=keras.optimizers.Nadam(3e-3),
    loss=keras.losses.Poisson(),
    weighted_metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
)
history = model.fit(
    X[:n_train], freq[:n_train],
    sample_weight=expo[:n_train],
    validation_data=(X[n_train:], freq[n_train:], expo[n_train:]),
    batch_size=64,
    epochs=12,
    shuffle=False,   # the table is shuffled already
    verbose=0,
)
table = pd.DataFrame(history.history)[["loss", "mae", "val_loss", "val_mae"]]
table.index += 1
print(table.round(5).to_string())

expected = (model.predict(X[n_train:], verbose=0)[:, 0] * expo[n_train:]).sum()
print(f"validation: {df.claims[n_train:].sum()} claims, {expected:.1f} expected by the model")
