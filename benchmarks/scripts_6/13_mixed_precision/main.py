import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse

import keras
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from engine import AmpTrainer, TrainConfig
from nets import classifier


def get_splits():
    x, y = load_digits(return_X_y=True)
    return train_test_split((x / 16.0).astype("float32"), y, test_size=0.2, random_state=7)


def make_ds(x, y, batch_size, shuffle):
    ds = tf.data.Dataset.from_tensor_slices((x, y))
    if shuffle:
        ds = ds.shuffle(len(x), seed=1)
    return ds.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-amp", action="store_true")
    parser.add_argument("--epochs", type=int, default=6)
    opts = parser.parse_args()

    cfg = TrainConfig(epochs=opts.epochs, amp=not opts.no_amp)
    if cfg.amp:
        keras.mixed_precision.set_global_policy("mixed_float16")

    x_tr, x_va, y_tr, y_va = get_splits()
    train_ds = make_ds(x_tr, y_tr, cfg.batch_size, True)
    val_ds = make_ds(x_va, y_va, cfg.batch_size, False)

    print("== keras ==")
    reference = classifier(x_tr.shape[1], 10)
    reference.compile(
        optimizer=keras.optimizers.Adam(cfg.lr),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    reference.fit(train_ds, validation_data=val_ds, epochs=cfg.epochs, verbose=2)

    print("== custom ==")
    AmpTrainer(classifier(x_tr.shape[1], 10), cfg).fit(train_ds, val_ds)


if __name__ == "__main__":
    main()
