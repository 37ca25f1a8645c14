"""Reference models for images: functions of the recipe's regularization and the data's shape."""

from __future__ import annotations

import keras

from twintrain.recipe.recipe import Recipe


def textbook_cnn(recipe: Recipe, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """The textbook's CNN: Conv2D(32, 3x3, relu), MaxPooling2D(2x2), Flatten, Dense(softmax)."""
    return _classifier(
        recipe,
        input_shape,
        classes,
        [
            keras.layers.Conv2D(32, 3, activation="relu", **_kernel(recipe)),
            *_normalized(recipe),
            keras.layers.MaxPooling2D(2),
        ],
    )


def mlp(recipe: Recipe, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Flatten, Dense(128, relu), Dense(softmax)."""
    return _classifier(
        recipe,
        input_shape,
        classes,
        [
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu", **_kernel(recipe)),
            *_normalized(recipe),
        ],
    )


def _classifier(
    recipe: Recipe, input_shape: tuple[int, ...], classes: int, body: list[keras.Layer]
) -> keras.Model:
    head: list[keras.Layer] = [keras.layers.Flatten()]
    if recipe.regularization.dropout:
        head.append(keras.layers.Dropout(recipe.regularization.dropout))
    # Probabilities leave in float32 even under mixed precision, so that the loss is taken in
    # float32.
    head.append(
        keras.layers.Dense(classes, activation="softmax", dtype="float32", **_kernel(recipe))
    )
    return keras.Sequential([keras.Input(input_shape, name="image"), *body, *head], name="twin")


def _kernel(recipe: Recipe) -> dict[str, keras.regularizers.Regularizer]:
    l1, l2 = recipe.regularization.l1, recipe.regularization.l2
    return {"kernel_regularizer": keras.regularizers.L1L2(l1=l1, l2=l2)} if l1 or l2 else {}


def _normalized(recipe: Recipe) -> list[keras.Layer]:
    return [keras.layers.BatchNormalization()] if recipe.regularization.batch_normalization else []
