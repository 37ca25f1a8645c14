import argparse
import logging

import tensorflow as tf

from data import load_ratings, split
from model import build_model
from trainer import Trainer


def get_args():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, required=True)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--dim", type=int, default=16)
    p.add_argument("--no-baseline", action="store_true", help="only run the trainer")
    return p.parse_args()


def baseline(args, train, test):
    model = build_model(args.dim)
    model.compile(optimizer=tf.keras.optimizers.Adam(args.lr), loss="mse",
                  metrics=[tf.keras.metrics.RootMeanSquaredError(name="rmse")])
    hist = model.fit([train[0], train[1]], train[2][:, None],
                     validation_data=([test[0], test[1]], test[2][:, None]),
                     batch_size=args.batch_size, epochs=args.epochs, verbose=2)
    return list(zip(hist.history["rmse"], hist.history["val_rmse"]))


def main():
    args = get_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    train, test = split(*load_ratings())
    print("train", len(train[2]), "test", len(test[2]))

    results = {}
    if not args.no_baseline:
        results["model.fit"] = baseline(args, train, test)

    trainer = Trainer(build_model(args.dim), learning_rate=args.lr, batch_size=args.batch_size)
    results["Trainer"] = trainer.train(train, test, args.epochs)

    print()
    print("%-12s %10s %10s" % ("", "rmse", "test rmse"))
    for name, hist in results.items():
        print("%-12s %10.4f %10.4f" % ((name,) + tuple(hist[-1])))


if __name__ == "__main__":
    main()
