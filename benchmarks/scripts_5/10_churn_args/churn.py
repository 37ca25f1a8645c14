#!/usr/bin/env python
"""Churn baseline. Keeps the model of the epoch with the best validation AUC.

usage: churn.py [--epochs 25] [--batch-size 64] [--lr 0.003] [--engine both]
"""
import argparse
import os
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import keras
import numpy as np
import tensorflow as tf
from keras import layers


def parse_args():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=25)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--seed", type=int, default=13)
    p.add_argument("--engine", choices=["fit", "loop", "both"], default="both")
    return p.parse_args()


def read_customers(seed, n=1400):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, 18)).astype("float32")
    z = 0.8 * x[:, 0] - 0.6 * x[:, 1] + 0.7 * x[:, 2] * x[:, 3] + 0.4 * np.abs(x[:, 4]) - 0.9
    y = (g.random(n) < 1 / (1 + np.exp(-1.3 * z))).astype("float32")[:, None]
    return (x[:700], y[:700]), (x[700:], y[700:])


def get_model(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([
        layers.Input((18,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ])


def run_fit(args, train, val):
    model = get_model(args.seed)
    model.compile(optimizer=keras.optimizers.Adam(args.lr), loss="binary_crossentropy",
                  metrics=[keras.metrics.AUC(name="auc")])
    path = os.path.join(tempfile.mkdtemp(), "best.weights.h5")
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_best_only=True, save_weights_only=True)
    model.fit(*train, validation_data=val, epochs=args.epochs, batch_size=args.batch_size,
              callbacks=[checkpoint], verbose=2)
    model.load_weights(path)
    return model


def run_loop(args, train, val):
    model = get_model(args.seed)
    optimizer = keras.optimizers.Adam(args.lr)
    bce = keras.losses.BinaryCrossentropy()
    auc = keras.metrics.AUC()
    ds = tf.data.Dataset.from_tensor_slices(train).shuffle(len(train[0])).batch(args.batch_size)
    val_ds = tf.data.Dataset.from_tensor_slices(val).batch(args.batch_size)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = bce(y, model(x, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    best, best_weights = -1.0, None
    for epoch in range(args.epochs):
        for x, y in ds:
            train_step(x, y)
        auc.reset_state()
        for x, y in val_ds:
            auc.update_state(y, model(x, training=False))
        current = float(auc.result())
        print(f"epoch {epoch + 1} val_auc {current:.4f}")
        if current > best:
            best, best_weights = current, model.get_weights()
    model.set_weights(best_weights)
    return model


def auc_of(model, data):
    m = keras.metrics.AUC()
    m.update_state(data[1], model.predict(data[0], verbose=0))
    return float(m.result())


def main():
    args = parse_args()
    train, val = read_customers(args.seed)
    models = {}
    if args.engine in ("fit", "both"):
        models["fit"] = run_fit(args, train, val)
    if args.engine in ("loop", "both"):
        models["loop"] = run_loop(args, train, val)
    for name, m in models.items():
        print(f"{name}: val AUC of the kept model {auc_of(m, val):.4f}")
    return models


if __name__ == "__main__":
    main()
