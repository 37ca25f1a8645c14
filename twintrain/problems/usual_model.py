"""The model of a problem that brings none: one for columns of any kind."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import keras

from twintrain.data.example_spec import Column, ExampleSpec
from twintrain.errors import TwintrainError
from twintrain.problems.task import Task
from twintrain.recipe.recipe import Recipe

_UNITS = (64, 64)
_WIDEST = 16  # numbers that a category or a word becomes, at most
_ACTIVATIONS = {
    "classification": "softmax",
    "binary": "sigmoid",
    "multilabel": "sigmoid",
    "regression": None,
    "counts": "softplus",
}


def usual_model(
    recipe: Recipe, spec: ExampleSpec, output_shape: tuple[int, ...], task: Task
) -> keras.Model:
    """Numbers as they are, categories and words embedded (words averaged, padding left out), then
    two dense layers of 64 units.

    Args:
        recipe: its regularization is obeyed.
        spec: the columns; of codes, it knows how many there are.
        output_shape: what is wanted for one example.
        task: says how the last layer ends.

    Raises:
        TwintrainError: a column is of a kind that needs a model of one's own.
    """
    inputs = {
        column.name: keras.Input(column.shape, dtype=column.dtype, name=column.name)
        for column in spec.inputs
    }
    parts = _parts(spec.inputs, inputs)
    x = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    rules = recipe.regularization
    kernel = keras.regularizers.L1L2(l1=rules.l1, l2=rules.l2) if rules.l1 or rules.l2 else None
    for units in _UNITS:
        x = keras.layers.Dense(units, activation="relu", kernel_regularizer=kernel)(x)
        if rules.batch_normalization:
            x = keras.layers.BatchNormalization()(x)
    if rules.dropout:
        x = keras.layers.Dropout(rules.dropout)(x)
    (size,) = output_shape
    # Answers leave in float32 even under mixed precision, so that the loss is taken in float32.
    outputs = keras.layers.Dense(
        size, activation=_ACTIVATIONS[task.NAME], kernel_regularizer=kernel, dtype="float32"
    )(x)
    return keras.Model(inputs, outputs)


def _parts(
    columns: Sequence[Column], inputs: Mapping[str, keras.KerasTensor]
) -> list[keras.KerasTensor]:
    """The columns as tensors of [batch, numbers], in their order.

    Single numbers that stand beside each other are stacked at once: a layer for each of hundreds of
    columns would take minutes to trace.
    """
    parts: list[keras.KerasTensor] = []
    for single, group in itertools.groupby(columns, _is_single_number):
        if single:
            parts.append(keras.ops.stack([inputs[column.name] for column in group], axis=1))
        else:
            parts.extend(_part(column, inputs[column.name]) for column in group)
    return parts


def _is_single_number(column: Column) -> bool:
    return column.size is None and column.dtype == "float32" and column.shape == ()


def _part(column: Column, tensor: keras.KerasTensor) -> keras.KerasTensor:
    """One column as [batch, numbers]."""
    if column.size is not None:
        width = min(_WIDEST, max(2, round(column.size**0.5)))
        words = len(column.shape) == 1
        embedded = keras.layers.Embedding(column.size, width, mask_zero=words)(tensor)
        if words:
            return keras.layers.GlobalAveragePooling1D()(embedded)
        return embedded
    if column.dtype == "float32" and len(column.shape) == 1:
        return tensor
    raise TwintrainError(
        f"The column {column.name!r} ({column.dtype}, shape {column.shape}) needs a model of your "
        "own.",
        "Write build_model(recipe, spec) in the problem's file.",
    )
