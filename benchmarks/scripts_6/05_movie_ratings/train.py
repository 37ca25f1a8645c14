import argparse
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

from models import rating_model
from pipeline import read


def parse_args():
    ap = argparse.ArgumentParser(description="rating prediction on TFRecord data")
    ap.add_argument("--trainer", choices=("keras", "custom", "both"), default="both")
    ap.add_argument("--epochs", type=int, default=6)
    ap.add_argument("--batch-size", type=int, default=64)
    ap.add_argument("--lr", type=float, default=5e-3)
    ap.add_argument("--dim", type=int, default=8)
    ap.add_argument("--l2", type=float, default=1e-3)
    ap.add_argument("--ckpt-dir", default=None)
    return ap.parse_args()


def train_keras(args, model, train, test):
    model.compile(
        keras.optimizers.Adam(args.lr),
        loss=keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.RootMeanSquaredError(name="rmse")],
    )
    model.fit(train, epochs=args.epochs, validation_data=test, verbose=2)


def train_custom(args, model, train, test):
    optimizer = keras.optimizers.Adam(args.lr)
    mse = keras.losses.MeanSquaredError()
    loss_avg = keras.metrics.Mean()
    rmse = keras.metrics.RootMeanSquaredError()

    step = tf.Variable(0, dtype=tf.int64)
    ckpt = tf.train.Checkpoint(model=model, optimizer=optimizer, step=step)
    manager = tf.train.CheckpointManager(
        ckpt, args.ckpt_dir or tempfile.mkdtemp(prefix="ratings_"), max_to_keep=2
    )

    @tf.function
    def train_step(features, rating):
        with tf.GradientTape() as tape:
            pred = model(features, training=True)
            loss = mse(rating, pred)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        step.assign_add(1)
        loss_avg.update_state(loss)
        rmse.update_state(rating, pred)

    for epoch in range(1, args.epochs + 1):
        loss_avg.reset_state()
        rmse.reset_state()
        for features, rating in train:
            train_step(features, rating)
        train_rmse = float(rmse.result())

        rmse.reset_state()
        for features, rating in test:
            rmse.update_state(rating, model(features, training=False))

        path = manager.save()
        print(
            f"epoch {epoch} (step {int(step)}): loss {float(loss_avg.result()):.4f} "
            f"rmse {train_rmse:.4f} val_rmse {float(rmse.result()):.4f} -> {os.path.basename(path)}"
        )


def main():
    args = parse_args()
    train = read("train", args.batch_size, shuffle=2000)
    test = read("test", args.batch_size)

    if args.trainer != "custom":
        train_keras(args, rating_model(args.dim, args.l2), train, test)
    if args.trainer != "keras":
        train_custom(args, rating_model(args.dim, args.l2), train, test)


if __name__ == "__main__":
    main()
