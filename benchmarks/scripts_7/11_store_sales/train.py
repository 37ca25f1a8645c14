"""python train.py   -> trains the sales net in both ways and prints the curves"""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import math

from salesnet.data import datasets
from salesnet.manual import ManualTrainer
from salesnet.settings import Settings
from salesnet.with_keras import run_keras


def report(name, history):
    print(f"== {name}: {len(history)} epochs")
    for e, row in enumerate(history, 1):
        print(f"   {e:3d}  loss {row['loss']:.4f}  val_loss {row['val_loss']:.4f}")
    print(f"   typical error of the forecast: {100 * (math.exp(history[-1]['val_loss']) - 1):.1f} %")


def main():
    s = Settings()
    train, val = datasets(s)
    _, keras_history = run_keras(s, train, val)
    report("keras", keras_history)
    _, manual_history = ManualTrainer(s).run(train, val)
    report("manual", manual_history)


if __name__ == "__main__":
    main()
