"""Problems of a user's own, made by hand: modules, columns and examples."""

from __future__ import annotations

from types import ModuleType

import keras
import numpy as np
import tensorflow as tf

from twintrain.data.arrays import examples
from twintrain.data.example_spec import TARGET, Column, ExampleSpec
from twintrain.data.example_store import ExampleStore

COLUMNS = (
    Column("age", (), "float32"),
    Column("age_missing", (), "float32"),
    Column("town", (), "int64", 5),
    Column("words", (6,), "int64", 9),
)

LABELS = ("pain", "fever", "rash")  # of a task that has several


def module(name: str = "stated", **said: object) -> ModuleType:
    """A module that says this."""
    made = ModuleType(name)
    for key, value in said.items():
        setattr(made, key, value)
    return made


def without_training_flag(model: keras.Model, dataset: tf.data.Dataset, epochs: int) -> None:
    """A loop of two classes in which dropout is never on."""
    optimizer, losses = keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()

    @tf.function
    def step(x: dict[str, tf.Tensor], y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = losses(y, model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for _ in range(epochs):
        for x, y in dataset:
            step(x, y)


def spec(task: str) -> ExampleSpec:
    """Four columns of all kinds, and a target for a task."""
    classes = {"classification": 3, "binary": 2}.get(task)
    if task == "multilabel":
        return ExampleSpec(COLUMNS, Column(TARGET, (len(LABELS),), "int64"))
    kind = "int64" if classes else "float32"
    return ExampleSpec(COLUMNS, Column(TARGET, (), kind, classes), classes)


def store(task: str, count: int, seed: int) -> ExampleStore:
    """Examples that can be learned, with gaps and texts of all lengths."""
    rng = np.random.default_rng(seed)
    missing = (rng.random(count) < 0.2).astype(np.float32)
    lengths = rng.integers(1, 7, count)
    words = rng.integers(1, 9, (count, 6)) * (np.arange(6) < lengths[:, None])
    age = rng.normal(size=count).astype(np.float32) * (1 - missing)
    town = rng.integers(0, 5, count)
    signal = age + 0.5 * town + (words == 3).sum(axis=1)
    targets = {
        "classification": np.digitize(signal, [0.5, 1.8]),
        "binary": (signal > 1).astype(np.int64),
        "multilabel": (signal[:, None] > [0.5, 1.0, 1.8]).astype(np.int64),
        "regression": signal.astype(np.float32),
        "counts": rng.poisson(np.exp(0.3 * signal)).astype(np.float32),
    }[task]
    columns = {"age": age, "age_missing": missing, "town": town, "words": words}
    return examples(columns, targets, f"s{seed}")
