#!/usr/bin/env python
"""k-fold CV of a churn model. --engine fit (EarlyStopping) or --engine loop (same rule by hand).
Default: both, printed beside each other.

The loop used to be in PyTorch; AUC per fold has been a bit lower than with fit since I ported it.
"""
import argparse
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler


@dataclass
class Config:
    folds: int = 3
    epochs: int = 25
    patience: int = 4
    batch: int = 50
    lr: float = 0.01
    units: int = 64


def customers(n=600, seed=11):
    r = np.random.default_rng(seed)
    df = pd.DataFrame({
        "tenure": r.exponential(24, n),
        "calls": r.poisson(3, n),
        "bill": r.normal(60, 20, n),
        "discount": r.random(n) < 0.3,
        "plan": r.choice(list("ABC"), n, p=[.5, .3, .2]),
    })
    for k in range(6):
        df[f"noise{k}"] = r.normal(size=n)
    z = -0.04 * df.tenure + 0.3 * df.calls + 0.02 * (df.bill - 60) - df.discount + (df.plan == "C") - 0.4
    df["churn"] = (r.random(n) < 1 / (1 + np.exp(-z))).astype("float32")
    return df


def make_model(n_features, cfg):
    return keras.Sequential([
        keras.Input((n_features,)),
        keras.layers.Dense(cfg.units, activation="relu"),
        keras.layers.Dense(cfg.units, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])


def with_fit(model, cfg, xt, yt, xv, yv):
    model.compile(keras.optimizers.Nadam(cfg.lr), "binary_crossentropy")
    es = keras.callbacks.EarlyStopping("val_loss", patience=cfg.patience, restore_best_weights=True)
    h = model.fit(xt, yt, batch_size=cfg.batch, epochs=cfg.epochs, validation_data=(xv, yv), callbacks=[es], verbose=0)
    return len(h.history["loss"]), es.best_epoch


def with_loop(model, cfg, xt, yt, xv, yv):
    opt = keras.optimizers.Nadam(cfg.lr)
    bce = keras.losses.BinaryCrossentropy()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = bce(y, model(x, training=True))
        opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    ds = tf.data.Dataset.from_tensor_slices((xt, yt)).shuffle(len(xt)).batch(cfg.batch)
    best, best_state, best_epoch, wait = np.inf, None, 0, 0
    for epoch in range(cfg.epochs):
        for x, y in ds:
            step(x, y)
        val = float(bce(yv, model(xv, training=False)))
        if val < best:
            best, best_epoch, wait = val, epoch, 0
            best_state = {v.path: v.value for v in model.weights}        # state_dict
        else:
            wait += 1
            if wait >= cfg.patience:
                break
    for v in model.weights:                                              # load_state_dict
        v.assign(best_state[v.path])
    return epoch + 1, best_epoch


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--engine", choices=["fit", "loop", "both"], default="both")
    for name, default in vars(Config()).items():
        p.add_argument(f"--{name}", type=type(default), default=default)
    a = vars(p.parse_args())
    engine = a.pop("engine")
    cfg = Config(**a)
    engines = {"fit": with_fit, "loop": with_loop}
    if engine != "both":
        engines = {engine: engines[engine]}

    df = customers()
    y = df.pop("churn").to_numpy()[:, None]
    x = pd.get_dummies(df, columns=["plan"]).to_numpy("float32")
    out = []
    models = {}
    for k, (tr, va) in enumerate(StratifiedKFold(cfg.folds, shuffle=True, random_state=0).split(x, y)):
        sc = StandardScaler().fit(x[tr])
        xt, xv = sc.transform(x[tr]), sc.transform(x[va])
        for name, run in engines.items():
            models[k, name] = model = make_model(x.shape[1], cfg)
            ran, best_epoch = run(model, cfg, xt, y[tr], xv, y[va])
            p_va = np.asarray(model(xv, training=False))
            out.append(dict(fold=k, engine=name, epochs=ran, best_epoch=best_epoch,
                            log_loss=log_loss(y[va], p_va.astype("float64")), auc=roc_auc_score(y[va], p_va)))
    res = pd.DataFrame(out)
    print(res.round(4).to_string(index=False))
    print(res.groupby("engine")[["log_loss", "auc"]].mean().round(4))
    return models


if __name__ == "__main__":
    trained = main()
