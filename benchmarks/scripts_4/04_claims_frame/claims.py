"""claims.py - will a motor claim be disputed?

Two people on the team wrote this independently and we want to know whether
the two give the same model.  Part A: Lena (Keras), part B: Tom (own loop).
"""
import numpy as np
import pandas as pd
import keras
import tensorflow as tf
from keras import layers

NUM = ["age", "premium", "mileage", "delay_days"]
BATCH, EPOCHS, L2 = 40, 7, 1e-3


def read_claims(n=420):
    r = np.random.default_rng(77)
    df = pd.DataFrame({
        "age": r.normal(45, 12, n).round(),
        "premium": r.lognormal(6, 0.4, n),
        "mileage": r.gamma(3, 6000, n),
        "delay_days": r.poisson(4, n).astype(float),
        "region": r.choice(["north", "south", "east", "west"], n, p=[.4, .3, .2, .1]),
    })
    s = 0.05 * (df.age - 45) - 0.4 * (df.delay_days - 4) + (df.region == "west") * 1.5
    df["disputed"] = (s + r.normal(0, 1, n) > 1.2).astype(int)
    for c in ("premium", "mileage"):
        df.loc[r.random(n) < 0.12, c] = np.nan
    return df


df = read_claims()
train, test = df.iloc[:340], df.iloc[340:]
share = train.disputed.mean()
W = {0: 0.5 / (1 - share), 1: 0.5 / share}

# ------------------------------------------------------------------ A (Lena)
mean, std = train[NUM].mean(), train[NUM].std(ddof=0)


def lena_features(d):
    num = (d[NUM].fillna(mean) - mean) / std
    cat = pd.get_dummies(d["region"], dtype=float)
    return pd.concat([num, cat[["east", "north", "south", "west"]]], axis=1).to_numpy("float32")


inp = keras.Input((8,))
x = layers.Dense(24, kernel_regularizer=keras.regularizers.L2(L2), name="h1")(inp)
x = layers.BatchNormalization(name="bn")(x)
x = layers.Activation("relu")(x)
x = layers.Dense(12, activation="tanh", kernel_regularizer=keras.regularizers.L2(L2), name="h2")(x)
out = layers.Dense(1, name="score")(x)
lena = keras.Model(inp, out)
start = {n: lena.get_layer(n).get_weights() for n in ("h1", "bn", "h2", "score")}

lena.compile(optimizer="nadam",
             loss=keras.losses.BinaryCrossentropy(from_logits=True),
             metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
lena.fit(lena_features(train), train["disputed"].to_numpy(), batch_size=BATCH,
         epochs=EPOCHS, class_weight=W, verbose=0)

# ------------------------------------------------------------------- B (Tom)
a = train[NUM].to_numpy()
center = np.nanmean(a, axis=0)
spread = np.sqrt(np.nanmean((a - center) ** 2, axis=0))
REGIONS = np.array(["east", "north", "south", "west"])


def tom_features(d):
    z = np.nan_to_num((d[NUM].to_numpy() - center) / spread, nan=0.0)
    onehot = d["region"].to_numpy()[:, None] == REGIONS
    return np.hstack([z, onehot]).astype(np.float32)


class Scorer(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = layers.Dense(1)
        self.second = layers.Dense(12)
        self.norm = layers.BatchNormalization()
        self.first = layers.Dense(24)

    def call(self, v, training=None):
        v = tf.nn.relu(self.norm(self.first(v), training=training))
        return self.out(tf.tanh(self.second(v)))[:, 0]


tom = Scorer()
Xtr, ytr = tom_features(train), train.disputed.to_numpy(np.float32)
tom(Xtr[:1])
tom.first.set_weights(start["h1"])
tom.norm.set_weights(start["bn"])
tom.second.set_weights(start["h2"])
tom.out.set_weights(start["score"])
sgn = 2.0 * ytr - 1.0
wts = np.where(ytr > 0, W[1], W[0]).astype(np.float32)
opt = keras.optimizers.Nadam()


def one_step(i):
    with tf.GradientTape() as t:
        margin = sgn[i] * tom(Xtr[i], training=True)
        loss = tf.reduce_mean(wts[i] * tf.math.log1p(tf.exp(-margin)))
        loss += 2 * L2 * (tf.nn.l2_loss(tom.first.kernel) + tf.nn.l2_loss(tom.second.kernel))
    opt.apply(t.gradient(loss, tom.trainable_variables), tom.trainable_variables)
    return loss.numpy()


for e in range(EPOCHS):
    idx = np.random.permutation(len(Xtr))
    losses = [one_step(b) for b in np.split(idx, range(BATCH, len(idx), BATCH))]
    print("Tom, epoch", e, "loss", round(float(np.mean(losses)), 4))

yt = test["disputed"].to_numpy()
print("Lena:", ((lena.predict(lena_features(test), verbose=0)[:, 0] > 0) == yt).mean())
print("Tom: ", ((tom(tom_features(test)).numpy() > 0) == yt).mean())
