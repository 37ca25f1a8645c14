"""Wide & deep census model, ported from tf.estimator (TF 1.12).

The estimator used FTRL on the linear part and Adagrad on the deep part; so do
both versions here.  `model_fn` / `input_fn` names survived the port.
"""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import zlib
import numpy as np
import pandas as pd
import tensorflow as tf
import keras

HASH_BUCKETS = 40
JOBS = ["clerk", "craft", "sales", "tech", "service", "farm"]
FLAGS = dict(batch_size=50, train_epochs=6, wide_lr=0.1, deep_lr=0.05, l1=0.001)


def census(n=560):
    r = np.random.RandomState(1994)
    df = pd.DataFrame({"age": r.randint(18, 75, n), "hours": r.normal(40, 9, n).clip(5, 80),
                       "edu": r.randint(1, 16, n), "job": r.choice(JOBS, n),
                       "sex": r.choice(["f", "m"], n)})
    z = 0.25 * (df.edu - 9) + 0.05 * (df.hours - 40) + 0.04 * (df.age - 40) + (df.job == "tech")
    df["over50k"] = (z + r.logistic(size=n) > 0.5).astype("float32")
    return df


def input_fn(df):
    bucket = pd.cut(df["age"], [0, 25, 32, 40, 48, 56, 99], labels=False)
    cross = [zlib.crc32(f"{b}_X_{j}".encode()) % HASH_BUCKETS for b, j in zip(bucket, df["job"])]
    wide = np.hstack([np.eye(HASH_BUCKETS)[cross], np.eye(6)[bucket]]).astype("float32")
    deep = np.stack([(df["age"] - 45) / 17, (df["hours"] - 40) / 10, (df["edu"] - 8) / 4.5,
                     df["sex"] == "m"], axis=1).astype("float32")
    job = df["job"].map({j: i for i, j in enumerate(JOBS)}).to_numpy("int32")
    return {"wide": wide, "deep": deep, "job": job}, df["over50k"].to_numpy()[:, None]


class WideDeep(keras.Model):
    def __init__(self):
        super().__init__()
        self.linear = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.tower = [keras.layers.Dense(24, "relu"), keras.layers.Dense(12, "relu"),
                      keras.layers.Dense(1)]
        self.job = keras.layers.Embedding(len(JOBS), 4)

    def call(self, f):
        h = tf.concat([f["deep"], self.job(f["job"])], axis=1)
        for layer in self.tower:
            h = layer(h)
        return self.linear(f["wide"]) + h

    def split(self):
        wide = self.linear.trainable_variables
        deep = [v for l in [self.job] + self.tower for v in l.trainable_variables]
        return wide, deep

    def compile(self, wide_opt, deep_opt, **kw):
        super().compile(**kw)
        self.wide_opt, self.deep_opt = wide_opt, deep_opt

    def train_step(self, data):
        features, labels = data
        with tf.GradientTape() as tape:
            logits = self(features, training=True)
            loss = self.compute_loss(y=labels, y_pred=logits)
        wide, deep = self.split()
        g = tape.gradient(loss, wide + deep)
        self.wide_opt.apply(g[:len(wide)], wide)
        self.deep_opt.apply(g[len(wide):], deep)
        return {"loss": loss}


def optimizers(model):
    wide, deep = model.split()
    w = keras.optimizers.Ftrl(FLAGS["wide_lr"], l1_regularization_strength=FLAGS["l1"])
    d = keras.optimizers.Adagrad(FLAGS["deep_lr"])
    w.build(wide)
    d.build(deep)
    return w, d


def model_fn(features):
    keras.utils.set_random_seed(1812)
    model = WideDeep()
    model({k: v[:1] for k, v in features.items()})
    return model


df = census()
train_x, train_y = input_fn(df.iloc[:480])
test_x, test_y = input_fn(df.iloc[480:])

# ---- new API
est = model_fn(train_x)
w, d = optimizers(est)
est.compile(w, d, loss=keras.losses.BinaryCrossentropy(from_logits=True))
est.fit(train_x, train_y, batch_size=FLAGS["batch_size"], epochs=FLAGS["train_epochs"], verbose=0)

# ---- old session style
model = model_fn(train_x)
ftrl, adagrad = optimizers(model)
wide_vars, deep_vars = model.split()


def train_op(features, labels):
    with tf.GradientTape(persistent=True) as tape:
        logits = model(features, training=True)
        xent = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
        loss = tf.reduce_sum(xent) / tf.cast(tf.size(labels), tf.float32)
    adagrad.apply_gradients(zip(tape.gradient(loss, deep_vars), deep_vars))
    ftrl.apply_gradients(zip(tape.gradient(loss, wide_vars), wide_vars))
    del tape
    return loss


ds = tf.data.Dataset.from_tensor_slices((train_x, train_y))
ds = ds.shuffle(len(train_y)).batch(FLAGS["batch_size"]).repeat(FLAGS["train_epochs"])
for global_step, (features, labels) in enumerate(ds, 1):
    loss = train_op(features, labels)
    if global_step % 20 == 0:
        tf.print("global_step", global_step, "loss", loss)

for name, m in (("fit", est), ("session style", model)):
    p = m.predict(test_x, verbose=0)
    print(name, "accuracy", ((p > 0) == (test_y > 0.5)).mean(),
          "wide weights at 0:", int((m.linear.kernel.numpy() == 0).sum()))
