"""Did the accuracy of a slice fall? One span's slices are held against the same slices in the spans
before.

Spans differ for more reasons than which test examples were drawn: each has training data of its
own. By how much cannot be told from one slice over two or three spans, but from all slices
together: the variance between spans beyond the binomial one is estimated from the scatter of every
slice over the earlier spans, and from that of the other slices in this span around their median
change, so that a span in which all of them fall is seen as such (a moment estimator, weighted by
precision: DerSimonian and Laird 1986, "Meta-analysis in clinical trials", Control. Clin. Trials 7).
A slice that has scattered more keeps its own scatter, and its own few degrees of freedom where it
scattered more than chance would have it. The test is Student's, with Satterthwaite's degrees of
freedom (1946, "An approximate distribution of estimates of variance components", Biometrics
Bulletin 2). `benchmarks/trend_alarms.py` measures how often it errs and what it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

_APART = 0.05  # level of the F test by which a slice's own scatter is told from that of all


@dataclass(frozen=True)
class Course:
    """One slice's accuracy over spans.

    Attributes:
        accuracies: shares of 1, oldest span first, this span last; [spans], at least two.
        sizes: test examples behind each, [spans].
    """

    accuracies: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.float64]

    @property
    def earlier(self) -> int:
        """Spans before this one."""
        return len(self.accuracies) - 1

    @property
    def drop(self) -> float:
        """By how much this span is below the mean of those before, share of 1."""
        return float(self.accuracies[:-1].mean() - self.accuracies[-1])

    @property
    def scatter(self) -> float:
        """Sum of squares of the earlier spans around their mean."""
        return float(((self.accuracies[:-1] - self.accuracies[:-1].mean()) ** 2).sum())

    @property
    def drawn(self) -> tuple[float, float]:
        """Binomial variance of an accuracy: of an earlier span, on average, and of this one."""
        right = float((self.accuracies * self.sizes).sum())
        share = (right + 1) / (
            float(self.sizes.sum()) + 2
        )  # never 0 or 1: all right so far does not rule out errors
        before, now = 1 / self.sizes[:-1], 1 / self.sizes[-1]
        return share * (1 - share) * float(before.mean()), share * (1 - share) * float(now)


def drop_p_values(courses: Sequence[Course], allowed: float) -> npt.NDArray[np.float64]:
    """Of each slice, how probable a fall as deep is if its accuracy fell by no more than `allowed`;
    one-sided.

    Args:
        courses: of the slices of one span, of one twin.
        allowed: share of 1.

    Returns:
        [slices]; 1 for all where there are too few slices and spans to know their scatter.
    """
    count = len(courses)
    earlier = np.array([one.earlier for one in courses], np.float64)
    before, now = np.array([one.drawn for one in courses], np.float64).reshape(count, 2).T
    scatter = np.array([one.scatter for one in courses])
    drops = np.array([one.drop for one in courses])
    widen = 1 + 1 / earlier
    drawn = (
        now + before / earlier
    ) / widen  # of this span's difference, as if it were one accuracy's
    beside = max(0, count - 2)  # of the other slices' squares the median takes one
    known = float((earlier - 1).sum()) + beside
    if known < 1:
        return np.ones(count)
    squares = (drops - np.median(drops)) ** 2 / widen
    share = beside / max(1, count - 1)

    def over_all(
        of_past: npt.NDArray[np.float64], of_others: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """For each slice, the sum over every slice's past and over this span of the others."""
        total: npt.NDArray[np.float64] = of_past.sum() + (
            of_others.sum() - of_others if beside else np.zeros(count)
        )
        return total

    # Weighted by precision, so that a slice of few examples does not drown what the large ones
    # show.
    weights = over_all((earlier - 1) / before, share / drawn)
    between = np.maximum(0.0, (over_all(scatter / before, squares / drawn) - known) / weights)
    doubt = (
        known
        + 2 * between * weights
        + between**2 * over_all((earlier - 1) / before**2, share / drawn**2)
    )
    freedom = ((drawn + between) * weights) ** 2 / doubt
    own, few = scatter / np.maximum(earlier - 1, 1), np.maximum(earlier - 1, 1)
    apart = stats.f.sf(own / (before + between), few, freedom) < _APART
    freedom = np.where(apart, np.minimum(few, freedom), freedom)
    error = np.sqrt(np.maximum(now + between, own) + np.maximum(before + between, own) / earlier)
    p_values: npt.NDArray[np.float64] = stats.t.sf((drops - allowed) / error, freedom)
    return p_values
