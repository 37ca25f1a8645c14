"""What a user brings: the model, and the data it is made for.

A built-in problem is named in the recipe (`model.name: textbook_cnn`). Your own is a function in an
    importable module
(`model.name: my_package.my_module:build`) that takes (recipe, input_shape, classes) and returns an
uncompiled Keras model ending in class probabilities.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import keras

from twintrain.errors import TwintrainError, did_you_mean
from twintrain.problems import image_models
from twintrain.recipe.recipe import Recipe

BuildModel = Callable[[Recipe, tuple[int, ...], int], keras.Model]


@dataclass(frozen=True)
class Problem:
    """A model to train and the shape of the data it takes.

    Attributes:
        input_shape: of one image, (height, width, channels).
        classes: number of labels, 0 to classes - 1.
        build_model: gives a fresh, uncompiled model.
    """

    input_shape: tuple[int, ...]
    classes: int
    build_model: BuildModel


def find_problem(recipe: Recipe, input_shape: tuple[int, ...], classes: int) -> Problem:
    """The problem a recipe names.

    Raises:
        TwintrainError: there is no such built-in model, module or function.
    """
    name = recipe.model.name
    if ":" not in name:
        if name not in image_models.BUILTIN:
            raise TwintrainError(
                f"model.name: no built-in model is called {name!r}.",
                did_you_mean(name, image_models.BUILTIN),
            )
        return Problem(input_shape, classes, image_models.BUILTIN[name])
    module, _, function = name.partition(":")
    try:
        build = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise TwintrainError(
            f"model.name: module {module!r} cannot be imported ({error}).", "Put it on PYTHONPATH."
        ) from error
    except AttributeError:
        raise TwintrainError(
            f"model.name: module {module!r} has no {function!r}.", "Name a function it has."
        ) from None
    return Problem(input_shape, classes, build)
