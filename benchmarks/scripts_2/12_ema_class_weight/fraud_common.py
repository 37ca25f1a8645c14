import keras
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.class_weight import compute_class_weight

EPOCHS = 6


def table(n=2000):
    r = np.random.default_rng(31)
    df = pd.DataFrame({
        "amount": r.lognormal(3, 1, n),
        "hour": r.integers(0, 24, n),
        "country": r.choice(["DE", "FR", "PL", "US"], n, p=[.6, .2, .15, .05]),
        "age_days": r.exponential(300, n),
    })
    z = 0.8 * np.log(df.amount) + 1.5 * (df.country == "US") - 0.004 * df.age_days + 0.8 * (df.hour < 5) - 4.6
    y = (r.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    df["amount"] = np.log(df.amount)
    ct = ColumnTransformer([("num", StandardScaler(), ["amount", "age_days"]),
                            ("cat", OneHotEncoder(sparse_output=False), ["country", "hour"])])
    x = ct.fit_transform(df[:1490]).astype("float32")
    return x, y[:1490].to_numpy(), ct.transform(df[1490:]).astype("float32"), y[1490:].to_numpy()


def _balanced():
    y = table()[1]
    w = compute_class_weight("balanced", classes=np.array([0, 1]), y=y)
    return {0: float(w[0]), 1: float(w[1])}


CLASS_WEIGHT = _balanced()


def network():
    x = inp = keras.Input((30,))
    for units in (32, 16):
        x = keras.layers.Dense(units, use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation("relu")(x)
    return keras.Model(inp, keras.layers.Dense(1, activation="sigmoid")(x))
