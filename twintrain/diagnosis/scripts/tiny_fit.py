"""A `fit` that is not under study: one batch, and a History as long as was asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.scripts.entries import rows_of, taken

# Rows that `fit` and `evaluate` take of arrays unless they are told otherwise.
KERAS_BATCH = 32
# Rows of arrays, so that a validation split leaves some on both sides.
_LEAST = 10


class FirstBatches(keras.utils.PyDataset):
    """The first batches of another one."""

    def __init__(self, of: keras.utils.PyDataset, count: int) -> None:
        super().__init__()
        self._of, self._count = of, count

    def __len__(self) -> int:
        return min(self._count, len(self._of))

    def __getitem__(self, index: int) -> Any:
        return self._of[index]

    def on_epoch_end(self) -> None:
        """As the other one."""
        self._of.on_epoch_end()


def given_to(
    original: Callable[..., Any], model: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any]:
    """What a method of a model is called with, by name, the model left out."""
    given = dict(inspect.signature(original).bind(model, *arguments, **named).arguments)
    given.pop("self", None)
    given |= given.pop("kwargs", {})
    return given


def tiny_fit(
    original: Callable[..., Any], model: keras.Model, given: dict[str, Any], one_step: bool = False
) -> Any:
    """Train for one batch.

    Args:
        original: `Model.fit`.
        model: to be trained.
        given: what it was to be called with, by name.
        one_step: also of arrays, of which more than a batch is taken lest a validation split leave
            none.

    Returns:
        The History, each figure repeated for all epochs that were asked for.
    """
    first = int(given.get("initial_epoch", 0) or 0)
    epochs = int(given.get("epochs", 1))
    short = first_batch(given) | {"epochs": first + 1, "verbose": 0}
    if one_step and not isinstance(short["x"], keras.utils.PyDataset):
        short["steps_per_epoch"] = 1
    history = original(model, **short)
    times = max(1, epochs - first)
    for name, values in history.history.items():
        history.history[name] = list(values[:1]) * times
    history.epoch = list(range(first, first + times))
    return history


def first_batch(given: dict[str, Any]) -> dict[str, Any]:
    """The same arguments of `fit` or `evaluate` with the first batch of data in them."""
    short = dict(given)
    batch = given.get("batch_size") or KERAS_BATCH
    short["x"] = _first(given.get("x"), batch)
    if short["x"] is not given.get("x"):
        for name in ("y", "sample_weight"):
            if given.get(name) is not None:
                short[name] = _first(given[name], batch)
    held = given.get("validation_data")
    if isinstance(held, tuple):
        short["validation_data"] = tuple(_first(part, batch) for part in held)
    elif held is not None:
        short["validation_data"] = _first(held, batch)
    for name in ("steps_per_epoch", "validation_steps", "steps"):
        if given.get(name) is not None:
            short[name] = 1
    if inspect.isgenerator(given.get("x")):
        short["steps_per_epoch"] = 1
    return short


def _first(data: Any, batch: int) -> Any:
    if isinstance(data, tf.data.Dataset):
        return data.take(1)
    if isinstance(data, keras.utils.PyDataset):
        return FirstBatches(data, 1)
    rows = rows_of(data)
    if rows is None:
        return data
    return taken(data, np.arange(min(rows, max(2 * batch, _LEAST))))


def first_inputs(given: dict[str, Any]) -> Any:
    """Inputs of the first batch of what `fit` is given; None where they cannot be taken twice."""
    data = first_batch(given).get("x")
    if isinstance(data, tf.data.Dataset):
        data = next(iter(data), None)
    elif isinstance(data, keras.utils.PyDataset):
        data = data[0]
    elif inspect.isgenerator(data):
        return None
    else:
        return data
    return data[0] if isinstance(data, tuple) else data


def inputs_like(given: dict[str, Any]) -> Any:
    """What says of which shape the inputs are that `fit` is given, without taking a batch of a data
    set, which may draw random numbers: arrays, or a specification; None where there is neither.
    """
    data = given.get("x")
    if isinstance(data, tf.data.Dataset):
        data = data.element_spec
        return data[0] if isinstance(data, tuple) else data
    arrays = keras.tree.flatten(data)
    known = all(isinstance(part, (np.ndarray, tf.Tensor)) for part in arrays)
    return first_batch(given).get("x") if arrays and known else None


def batch_of(given: dict[str, Any]) -> int:
    """Rows in a batch of what `fit` is given."""
    data = given.get("x")
    if isinstance(data, keras.utils.PyDataset):
        return rows_of(data[0]) or 0
    if isinstance(data, tf.data.Dataset):
        first = next(iter(data.take(1)), None)
        return 0 if first is None else int(tf.nest.flatten(first)[0].shape[0])
    return int(given.get("batch_size") or KERAS_BATCH)
