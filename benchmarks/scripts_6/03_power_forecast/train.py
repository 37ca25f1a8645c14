"""Train the load forecaster.

    python train.py                 # both ways, for comparison
    python train.py --engine keras
    python train.py --engine trainer
"""
import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import yaml

from dataset import HERE, make_datasets
from model import build_model
from trainer import Trainer


def train_keras(cfg, model, train_ds, val_ds):
    t = cfg["training"]
    model.compile(
        optimizer=keras.optimizers.SGD(
            learning_rate=t["learning_rate"], momentum=t["momentum"], clipnorm=t["clipnorm"]
        ),
        loss="mse",
        metrics=["mae"],
    )
    return model.fit(train_ds, validation_data=val_ds, epochs=t["epochs"], verbose=2)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--config", default=os.path.join(HERE, "config.yaml"))
    p.add_argument("--engine", choices=["keras", "trainer", "both"], default="both")
    args = p.parse_args()
    with open(args.config) as f:
        cfg = yaml.safe_load(f)

    keras.utils.set_random_seed(cfg["training"]["seed"])
    train_ds, val_ds, n_features = make_datasets(cfg)

    if args.engine in ("keras", "both"):
        train_keras(cfg, build_model(cfg, n_features), train_ds, val_ds)

    if args.engine in ("trainer", "both"):
        Trainer(build_model(cfg, n_features), cfg).train(train_ds, val_ds)


if __name__ == "__main__":
    main()
