"""How answers are judged: the figures that twins can be compared by.

A measure gives every example a score so that the scores' mean is its metric, exactly. Of accuracy
and of mean errors that is what each example adds. The area under the ROC curve, F1, R2 and the root
of the mean squared error are no such means: their scores are the metric plus each example's
influence on it (the infinitesimal jackknife: Efron 1982, The Jackknife, the Bootstrap and Other
Resampling Plans, chapter 6). Of the area under the curve these are the placements of DeLong, DeLong
and Clarke-Pearson (1988, Biometrics 44), and the variance of a paired difference is theirs. So one
paired comparison, over slices and seeds, serves them all.

Such scores belong to the examples they were computed on: of a slice, they are computed anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from twintrain.problems.metric import ACCURACY, Metric

Scores = npt.NDArray[np.float64]
RAREST = 10  # examples of a class for there to be an area; see benchmarks/statistics_measures.py
CALIBRATION_BINS = 15
_LEAST = float(np.finfo(np.float32).eps)  # a probability of 0 costs as much as this one


class Measure(ABC):
    """One way to judge answers.

    Attributes:
        NAME: what it is called in a problem file.
        ADDITIVE: whether an example's score does not depend on the other examples.
        TIPS: whether an answer can tip over, from right to wrong, by the rounding of its output.
    """

    NAME: str
    ADDITIVE: bool = True
    TIPS: bool = False

    @abstractmethod
    def metric(self, unit: str) -> Metric:
        """What the scores average to.

        Args:
            unit: of the targets, where these are numbers.
        """

    @abstractmethod
    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """Of each example, float64 [n].

        Args:
            targets: [n], or [n, labels] of several labels; there is the metric of them (`lacking`
                is None).
            outputs: [n, *output shape], finite.
        """

    def lacking(self, targets: np.ndarray) -> str | None:
        """What examples with these targets lack for there to be such a figure; None for nothing."""
        return None


def chosen_classes(outputs: np.ndarray) -> npt.NDArray[np.int64]:
    """Of probabilities of all classes the most probable one; of a probability of the second of two,
    that one where it has more than one half. int64 [n].
    """
    if outputs.shape[1] == 1:
        second: npt.NDArray[np.int64] = (outputs[:, 0] > 0.5).astype(np.int64)
        return second
    best: npt.NDArray[np.int64] = outputs.argmax(axis=1)
    return best


class Accuracy(Measure):
    """1 where the right class is chosen."""

    NAME = "accuracy"
    TIPS = True

    def metric(self, unit: str) -> Metric:
        """Accuracy, told in percent."""
        return ACCURACY

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """1 for right, 0 for wrong."""
        found: Scores = (chosen_classes(outputs) == targets).astype(np.float64)
        return found


class LogLoss(Measure):
    """The negative logarithm of what the right class was given."""

    NAME = "log_loss"

    def metric(self, unit: str) -> Metric:
        """Mean log loss, in nats."""
        return Metric(name="log loss", logged="loss", higher_is_better=False, counts=False)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """In nats."""
        given = outputs.astype(np.float64)
        if outputs.shape[1] == 1:
            given = np.concatenate([1 - given, given], axis=1)
        right = given[np.arange(len(given)), targets.astype(np.int64)]
        found: Scores = -np.log(np.maximum(right, _LEAST))
        return found


class BrierScore(Measure):
    """How far the probabilities of all classes are from what came, squared and added up (Brier
    1950, Monthly Weather Review 78); where there is one output, of the second class alone.
    """

    NAME = "brier"

    def metric(self, unit: str) -> Metric:
        """Mean Brier score, 0 to 2; of the second class alone, to 1."""
        return Metric(name="Brier score", logged="loss", higher_is_better=False, counts=False)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """Of each example."""
        given = outputs.astype(np.float64)
        classes = np.arange(given.shape[1]) if given.shape[1] > 1 else np.array([1])
        came = targets.astype(np.int64)[:, None] == classes
        found: Scores = ((given - came) ** 2).sum(axis=1)
        return found


class CalibrationError(Measure):
    """How far the probability of the chosen class is from how often it is the right one, in bins
    of equal width (expected calibration error: Naeini, Cooper and Hauskrecht 2015; Guo, Pleiss,
    Sun and Weinberger 2017, On Calibration of Modern Neural Networks).

    Of a model that is calibrated it is not 0 but chance, more so of fewer examples; of two twins it
    is so for both.
    """

    NAME = "ece"
    ADDITIVE = False
    TIPS = True

    def metric(self, unit: str) -> Metric:
        """The expected calibration error, 0 to 1."""
        return Metric(
            name="expected calibration error", logged="loss", higher_is_better=False, counts=False
        )

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """How much surer than right, of bins that are too sure; the other way round of others."""
        given = outputs.astype(np.float64)
        sure = given.max(axis=1) if given.shape[1] > 1 else np.maximum(given, 1 - given)[:, 0]
        excess = sure - (chosen_classes(outputs) == targets)
        bins = np.ceil(sure * CALIBRATION_BINS).astype(np.int64).clip(1, CALIBRATION_BINS)
        signs = np.sign(np.bincount(bins, excess))
        found: Scores = signs[bins] * excess
        return found


class RocAuc(Measure):
    """The area under the ROC curve of a probability of the second of two classes: how often an
    example of that class is given more than one of the other, ties half.
    """

    NAME = "auc"
    ADDITIVE = False
    TIPS = True

    def metric(self, unit: str) -> Metric:
        """The area, 0 to 1."""
        return Metric(name="ROC AUC", logged="auc", higher_is_better=True, counts=False)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """The area, and how much more or less often than that an example is on the right side."""
        given, second = outputs[:, 0], targets == 1
        found = np.empty(len(given))
        above, below = given[second], given[~second]
        found[second] = _share_below(above, below)
        found[~second] = 1 - _share_below(below, above)
        area = found[second].mean()
        for own in (second, ~second):
            found[own] = area + (found[own] - area) * len(found) / own.sum()
        return found

    def lacking(self, targets: np.ndarray) -> str | None:
        """Enough of both classes: of fewer, intervals say more than is known."""
        rarest = min(int((targets == 1).sum()), int((targets != 1).sum()))
        return None if rarest >= RAREST else f"{RAREST} examples of each class (there are {rarest})"


def _share_below(values: np.ndarray, others: np.ndarray) -> Scores:
    """For each value, which share of the others is smaller, ties half."""
    ordered = np.sort(others)
    left, right = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    found: Scores = (left + right) / (2 * len(others))
    return found


class F1(Measure):
    """The harmonic mean of precision and recall: of the second of two classes, or, of several
    classes, the mean over those that occur among the targets.
    """

    NAME = "f1"
    ADDITIVE = False
    TIPS = True

    def metric(self, unit: str) -> Metric:
        """F1, 0 to 1."""
        return Metric(name="F1", logged="accuracy", higher_is_better=True, counts=False)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """F1, and each example's influence on it: of a ratio N/D, (N_i - D_i N/D) / D."""
        chosen = chosen_classes(outputs)
        classes = [1] if outputs.shape[1] == 1 else np.unique(targets)
        found = [_ratio(*_f1_parts(chosen == one, targets == one)) for one in classes]
        mean: Scores = np.mean(found, axis=0)
        return mean

    def lacking(self, targets: np.ndarray) -> str | None:
        """Where two classes are told apart, some of the second are needed."""
        return None if (targets > 0).any() else "examples of any class but the first"


def _f1_parts(said: np.ndarray, true: np.ndarray) -> tuple[Scores, Scores]:
    return 2.0 * (said & true), said.astype(np.float64) + true


def _ratio(above: Scores, below: Scores) -> Scores:
    """The ratio of two sums, and each example's influence on it."""
    ratio = above.sum() / below.sum()
    return ratio + len(above) * (above - ratio * below) / below.sum()


def _apart(targets: np.ndarray, outputs: np.ndarray) -> Scores:
    found: Scores = outputs[:, 0].astype(np.float64) - targets.astype(np.float64)
    return found


def _error(name: str, logged: str, unit: str) -> Metric:
    """An error in the unit of the targets."""
    return Metric(
        name=name,
        unit=unit,
        score_unit=unit,
        logged=logged,
        higher_is_better=False,
        counts=False,
    )


class MeanAbsoluteError(Measure):
    """How far a number is off."""

    NAME = "mae"

    def metric(self, unit: str) -> Metric:
        """In the unit of the targets."""
        return _error("mean absolute error", "mae", unit)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """The absolute error of each example."""
        found: Scores = np.abs(_apart(targets, outputs))
        return found


class RootMeanSquaredError(Measure):
    """The root of the mean squared error."""

    NAME = "rmse"
    ADDITIVE = False

    def metric(self, unit: str) -> Metric:
        """In the unit of the targets."""
        return _error("root mean squared error", "rmse", unit)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """The root, and each example's influence on it."""
        squares = _apart(targets, outputs) ** 2
        root = np.sqrt(squares.mean())
        found: Scores = root + (squares - squares.mean()) / (2 * root if root else 1.0)
        return found


class R2(Measure):
    """The share of the targets' variance that is foretold (coefficient of determination)."""

    NAME = "r2"
    ADDITIVE = False

    def metric(self, unit: str) -> Metric:
        """At most 1, whatever the unit of the targets."""
        return Metric(name="R²", logged="rmse", higher_is_better=True, counts=False)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """R2, and each example's influence on it."""
        truth = targets.astype(np.float64)
        left = _apart(targets, outputs) ** 2
        return 1 - _ratio(left, (truth - truth.mean()) ** 2)

    def lacking(self, targets: np.ndarray) -> str | None:
        """Targets must vary."""
        return None if len(np.unique(targets)) > 1 else "targets that differ"


class PoissonDeviance(Measure):
    """The deviance of a count from what was expected (McCullagh and Nelder 1989, Generalized Linear
    Models, section 2.3).
    """

    NAME = "deviance"

    def metric(self, unit: str) -> Metric:
        """Mean Poisson deviance."""
        return Metric(
            name="mean Poisson deviance", logged="poisson", higher_is_better=False, counts=False
        )

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """The deviance of each example."""
        counted = targets.astype(np.float64)
        expected = np.maximum(outputs[:, 0].astype(np.float64), np.finfo(np.float32).tiny)
        some = np.where(counted > 0, counted, 1.0)
        surprise = np.where(counted > 0, counted * np.log(some / expected), 0.0)
        found: Scores = 2 * (surprise - (counted - expected))
        return found
