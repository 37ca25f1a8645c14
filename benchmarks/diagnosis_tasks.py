"""The four tasks of the diagnosis matrix: digits, a regression, a batch-norm and dropout network, a
text classifier.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.planted_task import Planting, Setup, Trait, reference_fit
from benchmarks.planting import PLANTINGS, planted_loop
from twintrain.data.idx import read_images, read_labels

ROWS, TEST_ROWS, BATCH = 330, 100, 32
DATA = Path(__file__).resolve().parent.parent / "data"
L = keras.layers
_CLASSIFIER = frozenset({Trait.PROBABILITIES, Trait.TWO_MODES})
# What each task has, of what a pitfall may need.
TRAITS = {
    "cnn": _CLASSIFIER | {Trait.SCALE},
    "regression": frozenset({Trait.SCALE, Trait.ONE_OUTPUT}),
    "batch_norm": _CLASSIFIER | {Trait.SCALE},
    "text": _CLASSIFIER | {Trait.PADDING, Trait.LOOKUPS},
}


def why_not(task: str, id_: str) -> str | None:
    """Why a pitfall cannot show on a task; None where it can."""
    needs = PLANTINGS[id_].needs
    return None if needs is None or needs in TRAITS[task] else needs.value


def functions_of(task: str, planted: frozenset[str]) -> tuple[Callable[..., Any], ...]:
    """build_model, make_dataset, keras_fit and custom_loop of a task with pitfalls planted in the
    loop.
    """
    plantings = [PLANTINGS[id_] for id_ in planted]
    two = any(planting.two_outputs for planting in plantings)
    half = any(planting.half for planting in plantings)
    weighted = any(planting.weighted for planting in plantings)
    constrained = any(planting.constrained for planting in plantings)
    stopping = any(planting.stopping for planting in plantings)
    stateful = any(planting.stateful for planting in plantings)

    def build(policy: str) -> keras.Model:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return _model(task, two, constrained, stateful)
        finally:
            keras.config.set_dtype_policy(before)

    def make_dataset(split: str) -> tf.data.Dataset:
        x, y = _arrays(task, split)
        parts: tuple[Any, ...] = (
            x,
            (y, x.reshape(len(x), -1).mean(1, keepdims=True).astype("float32")) if two else y,
        )
        if weighted:
            parts += (np.random.default_rng(3).uniform(0.2, 3.0, len(x)).astype("float32"),)
        return tf.data.Dataset.from_tensor_slices(parts).batch(BATCH, drop_remainder=stateful)

    loss: keras.Loss = (
        keras.losses.MeanSquaredError()
        if task == "regression"
        else keras.losses.SparseCategoricalCrossentropy()
    )
    setup = Setup(
        build=build,
        test=lambda: make_dataset_now("test"),
        losses=(loss, keras.losses.MeanSquaredError()) if two else (loss,),
        optimizer=lambda: _optimizer(plantings),
        loss_weights=(1.0, 0.3) if two else (1.0,),
        stopping=2 if stopping else 0,
        half=half,
        warming=any(planting.warming for planting in plantings),
    )

    def custom_loop(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
        return planted_loop(setup, planted)(model, ds, epochs)

    # The diagnosis replaces `make_dataset` among the globals of the loop's module; the setup must
    # see that one.
    globals()["make_dataset"] = make_dataset
    return (
        lambda: build("mixed_float16" if half else "float32"),
        make_dataset,
        reference_fit(setup),
        custom_loop,
    )


def make_dataset_now(split: str) -> tf.data.Dataset:
    """Whatever `make_dataset` is at this moment."""
    found: tf.data.Dataset = globals()["make_dataset"](split)
    return found


def _optimizer(plantings: list[Planting]) -> keras.Optimizer:
    constrained = any(planting.constrained for planting in plantings)
    rate: Any = 0.05 if constrained else 1e-3
    if any(planting.scheduled for planting in plantings):
        rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 4, 0.8)
    options = {k: v for planting in plantings for k, v in planting.optimizer.items()}
    kind = keras.optimizers.SGD if constrained else keras.optimizers.Adam
    found: keras.Optimizer = kind(rate, **options)
    return found


def _model(task: str, two: bool, constrained: bool, stateful: bool) -> keras.Model:
    regular = keras.regularizers.L2(1e-3)
    constraint = keras.constraints.MaxNorm(0.5) if constrained else None
    dense = lambda units, **k: L.Dense(units, kernel_regularizer=regular, **k)  # noqa: E731
    batch = BATCH if stateful else None
    if task == "cnn":
        inputs = keras.Input((28, 28, 1), batch_size=batch)
        x = L.Conv2D(8, 3, strides=2, activation="relu")(inputs)
        x = L.Dropout(0.3)(L.Flatten()(L.MaxPooling2D()(x)))
    elif task == "regression":
        inputs = keras.Input((8,), batch_size=batch)
        x = dense(32, activation="relu")(inputs)
    elif task == "batch_norm":
        inputs = keras.Input((12,), batch_size=batch)
        x = L.Activation("relu")(L.BatchNormalization()(dense(32)(inputs)))
        x = L.Dropout(0.4)(x)
    else:
        inputs = keras.Input((16,), batch_size=batch, dtype="int32")
        x = L.Embedding(60, 12, mask_zero=True)(inputs)
        x = L.Dropout(0.3)(L.GlobalAveragePooling1D()(x))
    if stateful:
        x = L.GRU(8, stateful=True)(L.Reshape((1, -1))(x))
    x = dense(16, activation="relu", kernel_constraint=constraint)(x)
    units, activation = {
        "cnn": (10, "softmax"),
        "regression": (1, None),
        "batch_norm": (3, "softmax"),
        "text": (4, "softmax"),
    }[task]
    outputs = L.Dense(units, activation=activation, dtype="float32", name="main")(x)
    return keras.Model(
        inputs, [outputs, L.Dense(1, dtype="float32", name="side")(x)] if two else outputs
    )


def _arrays(task: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    count = ROWS if split == "train" else TEST_ROWS
    draw = np.random.default_rng(5 if split == "train" else 6)
    if task == "cnn":
        name = "train" if split == "train" else "t10k"
        pixels = b"".join(read_images(DATA / f"{name}-images-idx3-ubyte.gz", 0, count))
        images = np.frombuffer(pixels, np.uint8).reshape(count, 28, 28, 1).astype("float32") / 255
        return images, read_labels(DATA / f"{name}-labels-idx1-ubyte.gz")[:count].astype("int32")
    if task == "text":
        length = draw.integers(4, 17, count)
        tokens = np.where(
            np.arange(16) < length[:, None], draw.integers(1, 60, (count, 16)), 0
        ).astype("int32")
        return tokens, (tokens.max(1) // 15).astype("int32").clip(0, 3)
    x = draw.normal(size=(count, 8 if task == "regression" else 12)).astype("float32")
    if task == "regression":
        return x, (x[:, :1] * 2 + np.sin(x[:, 1:2]) + 0.1 * draw.normal(size=(count, 1))).astype(
            "float32"
        )
    return x, ((x[:, 0] > 0).astype("int32") + (x[:, 1] > 0.5)).astype("int32")
