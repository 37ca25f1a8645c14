"""Anomaly detection for the pump: autoencoder on 12 sensor channels.

Averaged weights (EMA) because single epochs jump around a lot and the alarm limit with them.

  python pump_ae.py                 both trainers
  python pump_ae.py --only fit
"""
import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.metrics import precision_score, recall_score
from sklearn.preprocessing import MinMaxScaler

CHANNELS = 12


def simulate(n, rng, broken=False):
    load = rng.uniform(0.3, 1.0, (n, 1))
    mix = np.linspace(0.2, 1.5, CHANNELS)[None]
    x = np.tanh(load * mix) + 0.3 * np.sin(3 * load + mix) + rng.normal(0, 0.02, (n, CHANNELS))
    if broken:  # bearing gone: four channels leave their curve
        x[:, 5:9] += rng.normal(0, 0.12, (n, 4))
    return x.astype("float32")


def load_data():
    rng = np.random.default_rng(8)
    scaler = MinMaxScaler()
    train = scaler.fit_transform(simulate(1100, rng)).astype("float32")
    val = scaler.transform(simulate(300, rng)).astype("float32")
    bad = scaler.transform(simulate(100, rng, broken=True)).astype("float32")
    return train, val, bad


def build(args):
    keras.utils.set_random_seed(args.seed)
    inp = keras.Input((CHANNELS,))
    h = layers.Dense(24, activation="elu")(inp)
    code = layers.Dense(2, name="code")(h)
    h = layers.Dense(24, activation="elu")(code)
    return keras.Model(inp, layers.Dense(CHANNELS)(h), name="pump_ae")


def make_optimizer(args):
    return keras.optimizers.Adam(args.lr, use_ema=True, ema_momentum=args.ema)


def report(name, model, train, val, bad):
    def error(x):
        return np.mean((x - model.predict(x, verbose=0)) ** 2, axis=1)

    limit = np.quantile(error(train), 0.99)
    alarm = np.concatenate([error(val), error(bad)]) > limit
    truth = np.repeat([0, 1], [len(val), len(bad)])
    print(json.dumps({
        "trainer": name,
        "val_mse": round(float(error(val).mean()), 6),
        "limit": round(float(limit), 6),
        "precision": round(float(precision_score(truth, alarm)), 3),
        "recall": round(float(recall_score(truth, alarm)), 3),
    }))


def run_fit(args, train, val):
    model = build(args)
    model.compile(optimizer=make_optimizer(args), loss="mse")
    h = model.fit(train, train, validation_data=(val, val), batch_size=args.batch, epochs=args.epochs, verbose=0)
    for e, (a, b) in enumerate(zip(h.history["loss"], h.history["val_loss"]), 1):
        print(f"fit    {e:2d}  loss {a:.6f}  val_loss {b:.6f}")
    return model


class LoopTrainer:
    def __init__(self, args):
        self.args = args
        self.model = build(args)
        self.opt = make_optimizer(args)
        self.loss = keras.losses.MeanSquaredError()
        self.mean = keras.metrics.Mean()

    @tf.function
    def train_step(self, x):
        with tf.GradientTape() as tape:
            loss = self.loss(x, self.model(x, training=True))
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.opt.apply_gradients(zip(grads, self.model.trainable_variables))
        self.mean.update_state(loss, sample_weight=tf.shape(x)[0])

    @tf.function
    def val_step(self, x):
        self.mean.update_state(self.loss(x, self.model(x, training=False)), sample_weight=tf.shape(x)[0])

    def epoch(self, ds, step):
        self.mean.reset_state()
        for x in ds:
            step(x)
        return float(self.mean.result())

    def run(self, train, val):
        train_ds = tf.data.Dataset.from_tensor_slices(train).shuffle(len(train)).batch(self.args.batch)
        val_ds = tf.data.Dataset.from_tensor_slices(val).batch(self.args.batch)
        for e in range(1, self.args.epochs + 1):
            a = self.epoch(train_ds, self.train_step)
            b = self.epoch(val_ds, self.val_step)
            print(f"loop   {e:2d}  loss {a:.6f}  val_loss {b:.6f}")
        return self.model


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=1.5e-2)
    p.add_argument("--ema", type=float, default=0.98)
    p.add_argument("--seed", type=int, default=3)
    p.add_argument("--only", choices=["fit", "loop"])
    args = p.parse_args()

    train, val, bad = load_data()
    if args.only != "loop":
        report("fit", run_fit(args, train, val), train, val, bad)
    if args.only != "fit":
        report("loop", LoopTrainer(args).run(train, val), train, val, bad)


if __name__ == "__main__":
    main()
