"""Arrays in memory as examples: the shortest way from a notebook's data to a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from twintrain.data.columns import BARE, as_columns, as_inputs
from twintrain.data.example_spec import TARGET, WEIGHT, Column, ExampleSpec
from twintrain.data.example_store import ExampleStore, build_store
from twintrain.errors import TwintrainError

_NO_LIMIT = 1 << 62


def examples(
    inputs: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    targets: npt.ArrayLike,
    name: str = "example",
    weights: npt.ArrayLike | None = None,
) -> ExampleStore:
    """Examples from arrays, in their order.

    Args:
        inputs: [n, *shape], as the model is to see them before `training.input_scale` (images:
            float32 from 0 to 1, [n, height, width, channels]); or by name, [n, *shape] each, for a
            model that takes several.
        targets: [n] class numbers, or whatever else the problem predicts.
        name: begins the id of each example, 'example-00000000' and so on.
        weights: how much each example counts in the training loss, [n], 0 or more, as `fit` takes
            them for `sample_weight`; None where all count alike.

    Raises:
        TwintrainError: there are no examples, not as many targets or weights as inputs, or a weight
            is no number of 0 or more.
    """
    given: dict[str, Any] = as_columns(inputs)
    columns = {column: _values(values) for column, values in given.items()}
    if WEIGHT in columns:
        raise TwintrainError(
            f"An input is called {WEIGHT!r}, a name that is taken.",
            "Give examples() weights=..., or call the input otherwise.",
        )
    aims = _values(targets)
    if np.issubdtype(aims.dtype, np.integer):
        aims = aims.astype(np.int64)
    for values in columns.values():
        if values.ndim < 1 or aims.ndim < 1 or len(values) != len(aims):
            raise TwintrainError(
                f"There are inputs of shape {values.shape} and targets of shape {aims.shape}.",
                "One target belongs to one example: both need the same first dimension.",
            )
    ids = np.array([f"{name}-{position:08d}" for position in range(len(aims))], np.bytes_)
    if weights is not None:
        try:
            columns[WEIGHT] = np.asarray(weights, np.float32)
        except (TypeError, ValueError) as error:
            raise TwintrainError(
                f"The weights are no numbers: {error}.", "Give one number per example."
            ) from None
        if columns[WEIGHT].shape != (len(aims),):
            raise TwintrainError(
                f"There are weights of shape {columns[WEIGHT].shape} and {len(aims):,} examples.",
                "One weight belongs to one example: a shape of one dimension.",
            )
    return build_store([(as_inputs(columns), aims, ids)] if len(aims) else [], _NO_LIMIT)


def columns_of(store: ExampleStore, classes: int | None = None) -> ExampleSpec:
    """The columns of examples that were made of arrays by name.

    Args:
        store: as `examples` made it of a dictionary. Whole numbers are taken for codes from 0 on.
        classes: number of classes, where targets are classes.

    Raises:
        TwintrainError: its inputs have no names; of images, `labelled_images` tells them.
    """
    if BARE in store.columns:
        raise TwintrainError(
            "The inputs of these examples have no names.",
            "Give `examples` a dictionary of arrays; images: twintrain.labelled_images.",
        )
    every = np.arange(len(store))
    inputs = []
    for name, column in store.columns.items():
        dtype = column.values(every[:1]).dtype
        whole = np.issubdtype(dtype, np.integer)
        size = int(column.values(every).max()) + 1 if whole else None
        inputs.append(Column(name, column.shape, dtype.name, size))
    target = Column(TARGET, store.targets.shape[1:], store.targets.dtype.name, classes)
    return ExampleSpec(tuple(inputs), target, classes)


def _values(given: npt.ArrayLike) -> np.ndarray:
    found = np.asarray(given)
    return found.astype(np.float32) if found.dtype == np.float64 else found
