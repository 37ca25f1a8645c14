"""How answers to several yes-or-no questions about each example are judged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from twintrain.problems.measures import Measure, Scores
from twintrain.problems.metric import ACCURACY, Metric


class MeanOverLabels(Measure):
    """The mean over labels of a measure of two classes ("macro average": every label counts alike,
    however rare it is).

    The mean of the labels' influences is the influence on their mean, so that intervals hold for
    this one as they do for the measure of a single label.

    Args:
        single: of the probability of one label.
        name: of the mean; None for the measure's own.
    """

    def __init__(self, single: Measure, name: str | None = None) -> None:
        self._single = single
        self.NAME = name or single.NAME
        self.ADDITIVE, self.TIPS = single.ADDITIVE, single.TIPS

    def metric(self, unit: str) -> Metric:
        """In the measure's own unit; of accuracy, the share of labels that are told right
        (1 - Hamming loss).
        """
        one = self._single.metric(unit)
        # Of several labels nothing is logged but the loss and how many are told right.
        logged = one.logged if one.logged == "accuracy" else "loss"
        mean = {"name": f"mean {one.name} over labels", "counts": False, "logged": logged}
        return one.model_copy(update=mean)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """Of each example, the mean over labels."""
        found = [self._single.scores(*label) for label in _labels(targets, outputs)]
        mean: Scores = np.mean(found, axis=0)
        return mean

    def lacking(self, targets: np.ndarray) -> str | None:
        """What the first label lacks that lacks something."""
        for place, (label, _) in enumerate(_labels(targets, targets)):
            lacking = self._single.lacking(label)
            if lacking is not None:
                return f"{lacking}, of each label: label {place + 1} has not"
        return None


class ExactMatch(Measure):
    """1 where every label is told right (subset accuracy)."""

    NAME = "exact_match"
    TIPS = True

    def metric(self, unit: str) -> Metric:
        """The share of examples, told in percent."""
        return ACCURACY.model_copy(update={"name": "exact match"})

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """1 for an example without a mistake, 0 for others."""
        found: Scores = ((outputs > 0.5) == (targets > 0)).all(axis=1).astype(np.float64)
        return found


def _labels(targets: np.ndarray, outputs: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per label, targets [n] and outputs [n, 1]."""
    for place in range(targets.shape[1]):
        yield targets[:, place], outputs[:, place : place + 1]
