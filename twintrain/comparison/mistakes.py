"""Which labels the twins take for which, and the examples on which they disagree."""

from __future__ import annotations

import numpy as np

from twintrain.comparison.comparison import Confusion, Disagreement
from twintrain.comparison.predictions import Predictions
from twintrain.recipe.recipe import TWINS, Recipe

SHOWN = 24


def confusion(predictions: Predictions, classes: int) -> Confusion:
    """Confusion matrices of both twins, all seeds added up."""
    matrices = {}
    for twin in TWINS:
        matrix = np.zeros((classes, classes), np.int64)
        labels = np.broadcast_to(predictions.labels, predictions.chosen[twin].shape)
        np.add.at(matrix, (labels, predictions.chosen[twin]), 1)
        matrices[twin] = matrix.tolist()
    return Confusion(**matrices)


def disagreements(recipe: Recipe, predictions: Predictions) -> tuple[int, list[Disagreement]]:
    """How many (seed, example) the twins choose different labels for, and those in which they do so
    most surely.
    """
    apart = predictions.chosen["fit"] != predictions.chosen["loop"]
    surest = np.minimum(predictions.confidence["fit"], predictions.confidence["loop"]) * apart
    order = np.argsort(-surest, axis=None, kind="stable")[: min(SHOWN, int(apart.sum()))]
    found = []
    for row, column in zip(*np.unravel_index(order, apart.shape), strict=True):
        found.append(
            Disagreement(
                example_id=predictions.ids[column].decode(errors="replace"),
                seed=recipe.seeds[row],
                label=int(predictions.labels[column]),
                fit=int(predictions.chosen["fit"][row, column]),
                loop=int(predictions.chosen["loop"][row, column]),
                fit_confidence=float(predictions.confidence["fit"][row, column]),
                loop_confidence=float(predictions.confidence["loop"][row, column]),
            )
        )
    return int(apart.sum()), found
