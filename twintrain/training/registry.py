"""Finds a twin by its name."""

from __future__ import annotations

from twintrain.recipe.recipe import TwinName
from twintrain.training.gradient_tape import GradientTapeTwin
from twintrain.training.keras_fit import KerasFitTwin
from twintrain.training.twin import Twin

_TWINS: dict[TwinName, Twin] = {twin.name: twin for twin in (KerasFitTwin(), GradientTapeTwin())}


def twin_named(name: TwinName) -> Twin:
    """The twin called 'fit' or 'loop'."""
    return _TWINS[name]
