"""A user's model with a mistake no seed governs: its first weights come from the operating system's
randomness.
"""

from __future__ import annotations

import keras
import numpy as np

from twintrain.recipe.recipe import Recipe


def build(recipe: Recipe, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    weights = np.random.default_rng().normal(0, 0.01, (int(np.prod(input_shape)), classes))
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(
                classes, "softmax", kernel_initializer=keras.initializers.Constant(weights)
            ),
        ]
    )
