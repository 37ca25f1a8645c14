"""Pretrains the small conv backbone on the digits 0-4 and stores its weights."""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from keras import layers
from sklearn.datasets import load_digits

from backbone import build_backbone

if __name__ == "__main__":
    keras.utils.set_random_seed(21)
    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8, 1).astype("float32")
    x, y = x[y < 5], y[y < 5]
    backbone = build_backbone()
    model = keras.Sequential([backbone, layers.GlobalAveragePooling2D(), layers.Dense(5)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=8, verbose=2)
    backbone.save_weights("backbone.weights.h5")
