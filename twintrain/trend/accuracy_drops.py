"""Did the accuracy of a slice drop? One span's slices are held against the same slices in the spans
before.

Spans differ for more reasons than which test examples were drawn: each has training data of its
own. By how much cannot be told from one slice over two or three spans, but from all slices
together: the variance between spans beyond the binomial one is estimated from the scatter of every
slice over the earlier spans, and from that of the other slices in this span around their median
change, so that a span in which all of them drop is seen as such (a moment estimator, weighted by
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
        # Never 0 or 1: all right so far does not rule out errors.
        share = (right + 1) / (float(self.sizes.sum()) + 2)
        before, now = 1 / self.sizes[:-1], 1 / self.sizes[-1]
        return share * (1 - share) * float(before.mean()), share * (1 - share) * float(now)


def drop_p_values(courses: Sequence[Course], allowed: float) -> npt.NDArray[np.float64]:
    """Of each slice, how probable a drop as deep is if its accuracy fell by no more than `allowed`;
    one-sided.

    Args:
        courses: of the slices of one span, of one twin.
        allowed: share of 1.

    Returns:
        [slices]; 1 for all where there are too few slices and spans to know their scatter.
    """
    slices = _Slices.of(courses)
    if slices.known < 1:
        return np.ones(slices.count)
    between, freedom = _variance_between_spans(slices)
    own = _own_variance(slices)
    freedom = np.where(
        _scatters_apart(slices, own, between, freedom),
        np.minimum(slices.past_freedom, freedom),
        freedom,
    )
    of_this = np.maximum(slices.now + between, own)
    of_earlier = np.maximum(slices.before + between, own) / slices.earlier
    error = np.sqrt(of_this + of_earlier)
    p_values: npt.NDArray[np.float64] = stats.t.sf((slices.drops - allowed) / error, freedom)
    return p_values


@dataclass(frozen=True)
class _Slices:
    """The courses of one span's slices as arrays, [slices] each.

    Attributes:
        earlier: spans before this one.
        before: binomial variance of an earlier accuracy, on average.
        now: binomial variance of this span's accuracy.
        scatter: sum of squares of the earlier accuracies around their mean.
        drops: share of 1.
    """

    earlier: npt.NDArray[np.float64]
    before: npt.NDArray[np.float64]
    now: npt.NDArray[np.float64]
    scatter: npt.NDArray[np.float64]
    drops: npt.NDArray[np.float64]

    @staticmethod
    def of(courses: Sequence[Course]) -> _Slices:
        drawn = np.array([one.drawn for one in courses], np.float64)
        before, now = drawn.reshape(len(courses), 2).T
        return _Slices(
            np.array([one.earlier for one in courses], np.float64),
            before,
            now,
            np.array([one.scatter for one in courses]),
            np.array([one.drop for one in courses]),
        )

    @property
    def count(self) -> int:
        return len(self.earlier)

    @property
    def past_freedom(self) -> npt.NDArray[np.float64]:
        """Degrees of freedom of a slice's own scatter, at least 1 for it to be divided by."""
        return np.maximum(self.earlier - 1, 1)

    @property
    def others(self) -> int:
        """Degrees of freedom of the other slices in this span: of their squares the median takes
        one.
        """
        return max(0, self.count - 2)

    @property
    def known(self) -> float:
        """Degrees of freedom there are to tell the variance between spans."""
        return float((self.earlier - 1).sum()) + self.others

    @property
    def widening(self) -> npt.NDArray[np.float64]:
        """Variance of a drop over that of one accuracy: the mean of the earlier adds its own."""
        return 1 + 1 / self.earlier

    @property
    def drawn(self) -> npt.NDArray[np.float64]:
        """Binomial variance of this span's drop, as if it were one accuracy's."""
        return (self.now + self.before / self.earlier) / self.widening

    def over_all(
        self, of_past: npt.NDArray[np.float64], of_others: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """For each slice, the sum over every slice's past and over this span of the others."""
        besides = of_others.sum() - of_others if self.others else np.zeros(self.count)
        total: npt.NDArray[np.float64] = of_past.sum() + besides
        return total


def _variance_between_spans(
    slices: _Slices,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What spans differ by beyond which test examples were drawn: for each slice the variance, and
    the degrees of freedom of the variance of an accuracy that comes of it.
    """
    before, drawn, past = slices.before, slices.drawn, slices.earlier - 1
    squares = (slices.drops - np.median(slices.drops)) ** 2 / slices.widening
    share = slices.others / max(1, slices.count - 1)
    # Weighted by precision, so that a slice of few examples does not drown what the large ones
    # show.
    weights = slices.over_all(past / before, share / drawn)
    excess = slices.over_all(slices.scatter / before, squares / drawn) - slices.known
    between = np.maximum(0.0, excess / weights)
    doubt = (
        slices.known
        + 2 * between * weights
        + between**2 * slices.over_all(past / before**2, share / drawn**2)
    )
    return between, ((drawn + between) * weights) ** 2 / doubt


def _own_variance(slices: _Slices) -> npt.NDArray[np.float64]:
    """Each slice's variance as its own earlier spans alone show it."""
    return slices.scatter / slices.past_freedom


def _scatters_apart(
    slices: _Slices,
    own: npt.NDArray[np.float64],
    between: npt.NDArray[np.float64],
    freedom: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """Whether a slice has scattered more than chance would have a slice like the others do."""
    ratio = own / (slices.before + between)
    apart: npt.NDArray[np.bool_] = stats.f.sf(ratio, slices.past_freedom, freedom) < _APART
    return apart
