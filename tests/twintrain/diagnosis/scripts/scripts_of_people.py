"""Small scripts as people write them, put together from parts."""

from __future__ import annotations

from pathlib import Path

from twintrain.diagnosis.scripts.program import Program
from twintrain.diagnosis.scripts.source import read

DATA = """
import keras
import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
x_train = rng.normal(size=(120, 4)).astype("float32")
y_train = (x_train.sum(1) > 0).astype("int64")

def make():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
"""
FIT = """
model = make()
model.compile(
    keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
history = model.fit(x_train, y_train, epochs=3, verbose=0)
"""
LOOP = """
net = make()
optimizer = keras.optimizers.SGD(0.1)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(120).batch(32)
for epoch in range(3):
    for x, y in ds:
        with tf.GradientTape() as tape:
            loss = loss_fn(y, net(x, training=True))
        gradients = tape.gradient(loss, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables))
"""


def program(folder: Path, *parts: str, name: str = "train.py") -> Program:
    """A script of these parts."""
    path = folder / name
    path.write_text("".join(parts), encoding="utf-8")
    return Program(read(path), path, folder)
