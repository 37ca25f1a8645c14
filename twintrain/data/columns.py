"""Inputs of a model, as one tensor without a name or as named columns: the same code for both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

# Name of the only column where a model is given one tensor and no names.
BARE = ""


def as_columns(inputs: T | Mapping[str, T]) -> dict[str, T]:
    """Inputs as columns, in the order of their names; one bare tensor is the column `BARE`."""
    if isinstance(inputs, Mapping):
        return {name: inputs[name] for name in sorted(inputs)}
    return {BARE: inputs}


def as_inputs(columns: Mapping[str, T]) -> T | dict[str, T]:
    """Columns as a model is given them: the tensor itself where it is the bare one."""
    return columns[BARE] if set(columns) == {BARE} else dict(columns)
