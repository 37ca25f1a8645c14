"""How much an example of each class counts in training.

`balanced` is n / (classes * n of the class), so that every class adds up to the same and the mean
weight is 1 (King and Zeng 2001, "Logistic regression in rare events data", Political Analysis 9).
Losses of an epoch are the weighted ones; metrics, validation and the comparison are not weighted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twintrain.recipe.recipe import Recipe


def class_weights(recipe: Recipe, targets: np.ndarray) -> npt.NDArray[np.float32] | None:
    """The weight of each class, float32 [largest class + 1]; 0 for a class without examples. None
    where all examples count alike.

    Args:
        recipe: as a twin obeys it.
        targets: classes of all training examples, [n].
    """
    if recipe.training.class_weight == "none":
        return None
    counts = np.bincount(targets.astype(np.int64))
    there = counts > 0
    weights = np.zeros(len(counts), np.float32)
    weights[there] = len(targets) / (there.sum() * counts[there])
    return weights
