"""opinions: is a text positive, negative or neither? Word by word, whatever it is about."""

from typing import Any

import keras

from twintrain.data.example_spec import ExampleSpec
from twintrain.recipe.recipe import Recipe

TASK = "classification"
LABEL = "opinion"
TEXT = ("text",)
LENGTH = 40
IGNORE = ("source",)  # whoever reads a text is not told where it stood
SLICES = (("source",), ("text",))  # a text's slices are quarters of its length


def build_model(recipe: Recipe, spec: ExampleSpec) -> keras.Model:
    """Words as vectors, read in order by a layer that does not see the padding."""
    (column,) = spec.inputs
    words = keras.Input(column.shape, dtype=column.dtype, name=column.name)
    x: Any = keras.layers.Embedding(column.size, 32, mask_zero=True)(words)
    x = keras.layers.GRU(32)(x)
    x = keras.layers.Dropout(recipe.regularization.dropout)(x)
    return keras.Model(words, keras.layers.Dense(spec.classes, activation="softmax")(x))
