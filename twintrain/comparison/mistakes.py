"""Which classes the twins take for which, and the examples on which they disagree."""

from __future__ import annotations

import numpy as np

from twintrain.comparison.comparison import Confusion, Disagreement
from twintrain.comparison.predictions import PairedPredictions
from twintrain.recipe.recipe import TWINS, Recipe

SHOWN = 24


def confusion(predictions: PairedPredictions, classes: int) -> Confusion:
    """Confusion matrices of both twins, all seeds added up."""
    matrices = {}
    for twin in TWINS:
        matrix, chosen = np.zeros((classes, classes), np.int64), predictions.chosen(twin)
        np.add.at(matrix, (np.broadcast_to(predictions.targets, chosen.shape), chosen), 1)
        matrices[twin] = matrix.tolist()
    return Confusion(**matrices)


def disagreements(recipe: Recipe, predictions: PairedPredictions) -> tuple[int, list[Disagreement]]:
    """How many (seed, example) the twins choose different classes for, and those in which they do
    so most surely.
    """
    fit, loop = (predictions.chosen(twin) for twin in TWINS)
    surely_fit, surely_loop = (predictions.confidence(twin) for twin in TWINS)
    apart = fit != loop
    surest = np.minimum(surely_fit, surely_loop) * apart
    order = np.argsort(-surest, axis=None, kind="stable")[: min(SHOWN, int(apart.sum()))]
    found = [
        Disagreement(
            example_id=predictions.ids[column].decode(errors="replace"),
            seed=recipe.seeds[row],
            label=int(predictions.targets[column]),
            fit=int(fit[row, column]),
            loop=int(loop[row, column]),
            fit_confidence=float(surely_fit[row, column]),
            loop_confidence=float(surely_loop[row, column]),
        )
        for row, column in zip(*np.unravel_index(order, apart.shape), strict=True)
    ]
    return int(apart.sum()), found
