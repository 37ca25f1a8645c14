"""Does our Trainer do the same as model.fit?   python main.py --epochs 30"""
import argparse
import logging

import keras

from turbine import data
from turbine.callbacks import History, PlateauLR
from turbine.model import build
from turbine.trainer import Trainer


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--lr", type=float, default=1e-2)
    p.add_argument("--width", type=int, default=24)
    p.add_argument("--patience", type=int, default=3)
    return p.parse_args()


def run_keras(args, train_ds, val_ds):
    model = build(args.width, seed=5)
    model.compile(optimizer=keras.optimizers.Adam(args.lr), loss="mse")
    # less than 1e-3 is only noise
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=0.5, patience=args.patience, min_delta=1e-3, min_lr=1e-5
    )
    h = model.fit(train_ds, validation_data=val_ds, epochs=args.epochs, callbacks=[plateau], verbose=0)
    return model, h.history


def run_trainer(args, train_ds, val_ds):
    model = build(args.width, seed=5)
    hist = History()
    plateau = PlateauLR(factor=0.5, patience=args.patience, min_delta=1e-3, min_lr=1e-5)
    trainer = Trainer(model, keras.optimizers.Adam(args.lr), keras.losses.MeanSquaredError(), [hist, plateau])
    trainer.run(train_ds, val_ds, args.epochs)
    return model, hist.history


def main():
    args = parse()
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    train, val = data.load()
    train_ds, val_ds = data.as_dataset(train, args.batch_size), data.as_dataset(val, args.batch_size)
    m1, h1 = run_keras(args, train_ds, val_ds)
    m2, h2 = run_trainer(args, train_ds, val_ds)
    for e in range(0, args.epochs, 3):
        print(f"{e + 1:3d}  fit {h1['val_loss'][e]:.5f}   trainer {h2['val_loss'][e]:.5f}")
    print("final", h1["val_loss"][-1], h2["val_loss"][-1])


if __name__ == "__main__":
    main()
