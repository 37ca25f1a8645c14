import keras
import numpy as np
from keras import layers

WORDS = 120


def load(n=1280, seed=2):
    """Flats: a bag of description words + six numbers -> price, days on market, was it let at all."""
    r = np.random.default_rng(seed)
    numbers = r.normal(size=(n, 6)).astype("float32")
    words = (r.random((n, WORDS)) < 0.06).astype("float32")
    taste = r.normal(size=WORDS) * 0.4
    price = numbers @ [1, .6, 0, 0, -.4, .2] + words @ taste + r.normal(0, .3, n)
    days = np.exp(1.2 - .5 * price + .6 * numbers[:, 2] + r.normal(0, .4, n)).clip(0, 30)
    let = r.random(n) < 1 / (1 + np.exp(-(2 + .7 * numbers[:, 3] - .1 * days)))
    x = {"numbers": numbers, "words": words}
    y = {"price": price.astype("float32")[:, None], "days": days.astype("float32")[:, None], "let": let.astype("float32")[:, None]}
    return x, y


LOSSES = {"price": "mse", "days": "mae", "let": "binary_crossentropy"}
LOSS_WEIGHTS = {"price": 1.0, "days": 0.05, "let": 0.5}


def build():
    numbers = keras.Input((6,), name="numbers")
    words = keras.Input((WORDS,), name="words")
    h = layers.Concatenate()([layers.Dense(16, activation="relu")(numbers), layers.Dense(16, activation="relu")(words)])
    h = layers.Dense(24, activation="relu")(h)
    return keras.Model({"numbers": numbers, "words": words}, {
        "price": layers.Dense(1, name="price")(h),
        "days": layers.Dense(1, activation="softplus", name="days")(h),
        "let": layers.Dense(1, activation="sigmoid", name="let")(h),
    })
