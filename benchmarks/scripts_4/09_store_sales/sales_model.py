"""Hourly unit sales per shop: numeric signals + shop id -> log(1 + units).

The till system exports closed days sorted by time; the current period is
appended shop by shop until the books are closed.  Training goes through the
export in time order (old to new), as the nightly job does.
"""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import pandas as pd
import tensorflow as tf
import keras

N_SHOPS = 6
NUMERIC = ["temp", "footfall", "promo", "hour_sin", "hour_cos"]
BATCH, EPOCHS = 36, 6


def read_export(seed=15):
    rs = np.random.RandomState(seed)
    hours = pd.date_range("2024-03-01 08:00", periods=90, freq="3h")
    df = pd.MultiIndex.from_product([hours, range(N_SHOPS)], names=["ts", "shop"]).to_frame(index=False)
    n = len(df)
    df["ts"] = df["ts"] + pd.to_timedelta(rs.permutation(n) % 170, unit="min")
    df["temp"] = 8 + 6 * np.sin(df["ts"].dt.dayofyear / 9) + rs.randn(n)
    df["footfall"] = rs.poisson(20 + 5 * df["shop"]).astype(float)
    df["promo"] = (rs.rand(n) < 0.2).astype(float)
    h = df["ts"].dt.hour + df["ts"].dt.minute / 60
    df["hour_sin"], df["hour_cos"] = np.sin(2 * np.pi * h / 24), np.cos(2 * np.pi * h / 24)
    lam = np.exp(0.03 * df["footfall"] + 0.7 * df["promo"] + 0.15 * df["shop"] + 0.3 * df["hour_sin"])
    df["units"] = rs.poisson(lam)
    df = df.sort_values("ts", kind="stable", ignore_index=True)
    closed, current = df.iloc[:432], df.iloc[432:]
    return pd.concat([closed, current.sort_values(["shop", "ts"])], ignore_index=True)


def scale(frame, ref):
    return ((frame[NUMERIC] - ref[NUMERIC].mean()) / ref[NUMERIC].std()).to_numpy("float32")


def build():
    num = keras.Input((len(NUMERIC),), name="num")
    shop = keras.Input((), dtype="int32", name="shop")
    e = keras.layers.Embedding(N_SHOPS, 3, name="shop_vec")(shop)
    h = keras.layers.Concatenate()([num, e])
    h = keras.layers.Dense(32, activation="relu", name="d1")(h)
    h = keras.layers.Dense(16, activation="relu", name="d2")(h)
    return keras.Model({"num": num, "shop": shop}, keras.layers.Dense(1, name="y")(h))


# ---------------------------------------------------------------- nightly job
export = read_export()
target = np.log1p(export.pop("units").to_numpy("float32"))
export = export.sort_values("ts", kind="stable")
inputs = {"num": scale(export, export), "shop": export["shop"].to_numpy("int32")}

keras.utils.set_random_seed(31)
nightly = build()
nightly.compile(optimizer=keras.optimizers.Adam(4e-3), loss="mse", metrics=["mae"])
nightly.fit(inputs, target, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=2)


# ------------------------------------------------------------------- research
def batches():
    frame = read_export().sort_values("ts", kind="stable").reset_index(drop=True)
    ref = frame.copy()
    for lo in range(0, len(frame), BATCH):
        part = frame.iloc[lo:lo + BATCH]
        yield (scale(part, ref), part["shop"].to_numpy("int32"),
               np.log1p(part["units"].to_numpy("float32"))[:, None])


keras.utils.set_random_seed(31)
research = build()
opt = keras.optimizers.Adam(4e-3)


@tf.function(reduce_retracing=True)
def step(num, shop, y):
    with tf.GradientTape() as tape:
        pred = research({"num": num, "shop": shop}, training=True)
        loss = tf.reduce_mean(tf.math.squared_difference(pred, y))
    opt.apply_gradients(zip(tape.gradient(loss, research.trainable_variables),
                            research.trainable_variables))
    return loss


for epoch in range(EPOCHS):
    total = count = 0.0
    for num, shop, y in batches():
        total += float(step(num, shop, y)) * len(y)
        count += len(y)
    print(f"research {epoch + 1}/{EPOCHS}  mse {total / count:.4f}")

# next period, same shops
new = read_export(seed=16)
feed = {"num": scale(new, new), "shop": new["shop"].to_numpy("int32")}
truth = np.log1p(new["units"].to_numpy("float32"))
for name, m in (("nightly", nightly), ("research", research)):
    print(name, "next-period MAE %.4f" % np.abs(m.predict(feed, verbose=0)[:, 0] - truth).mean())
