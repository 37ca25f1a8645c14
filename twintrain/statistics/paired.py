"""Paired statistics for two models on the same examples, over one or several seeds.

Every function takes the paired differences d = score(loop) - score(fit), one row per seed, one
column per example. Where accuracy is compared, whose scores are 1 for right and 0 for wrong, each
is from -1 to 1, and differences and intervals are shares (0.01 is one percentage point). Of other
measures (twintrain.problems.measures), any number can be one.

Sources: Tango (1998), "Equivalence test and confidence interval for the difference in proportions
for the paired-sample design", Stat. Med. 17; Bouthillier et al. (2021), "Accounting for variance
in machine learning benchmarks", MLSys; Robinson (1976), "Properties of Student's t and of the
Behrens-Fisher solution to the two means problem", Ann. Statist. 4; Schuirmann (1987) for the two
one-sided tests; Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of
binomial proportions based on paired data", J. Educ. Behav. Stat. 37; Holm (1979). How well
intervals cover and verdicts err was simulated: benchmarks/statistics.py, statistics_measures.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from twintrain.statistics.mean_difference import DiscordantPairs, MeanDifference

Verdict = Literal["identical", "equivalent", "fit_better", "loop_better", "inconclusive"]
LEVEL = 0.05
Differences = npt.NDArray[np.int8] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairedEstimate:
    """A paired difference with what is known about it.

    Attributes:
        difference: mean of d, loop minus fit.
        low, high: 95 % interval.
        inner_low, inner_high: 90 % interval; where it reaches beyond the margin, equivalence is not
            shown.
        p_value: of no difference, two-sided.
        mean: the distribution these come from.
    """

    difference: float
    low: float
    high: float
    inner_low: float
    inner_high: float
    p_value: float
    mean: MeanDifference

    def equivalence_p(self, margin: float) -> float:
        """p-value of the two one-sided tests: small when the difference is within +- `margin` (a
        share).
        """
        return max(self.mean.beyond(margin, -1), self.mean.beyond(-margin, 1))

    def beyond_p(self, margin: float) -> float:
        """p-value, two-sided, of the difference being within +- `margin` (a share): small when it
        is beyond.
        """
        side = 1 if self.mean.centre >= 0 else -1
        return min(1.0, 2 * self.mean.beyond(side * margin, side))


def paired_estimate(differences: Differences, bounded: bool = True) -> PairedEstimate:
    """Estimate the mean paired difference with both sources of variance, examples and seeds.

    One seed: Tango's score interval, honest for few examples and for none that differ, and the test
    that goes with it, McNemar's. Seeds were not varied; it holds for these two models only.

    Several seeds: seeds and examples are crossed. The seeds' means tell the variance due to seeds,
    and what every seed owes to its own examples, with as many degrees of freedom as there are seeds
    less one; the examples that go wrong in every seed alike add a variance that is known well. The
    two are summed as Behrens and Fisher do, and widened as Tango's score interval is. Differences
    other than -1, 0 and 1 are weighted sums: nothing can be said of their variance but what is
    seen, and one pair is added on either side, as Bonett and Price do.

    Errors, which nothing bounds, are taken as they are: with one seed the interval is Student's, of
    paired differences, with fewer degrees of freedom the fewer examples make most of their
    variance; with several, both sources of variance are summed as above.

    Args:
        differences: [seeds, examples], values from -1 to 1, or any where they are not bounded.
        bounded: whether they are differences of scores from 0 to 1.

    Raises:
        ValueError: there is no example, or only one and nothing bounds the differences.
    """
    seeds, examples = differences.shape
    if not seeds or not examples:
        raise ValueError("paired_estimate needs at least one seed and one example")
    d = differences.astype(np.float64)
    if not bounded:
        return _estimate(d, _unbounded(d))
    # Counts are whole numbers, so that two or three seeds agree by chance often enough, and that
    # must not pass for certainty: without this, 22 % of A/A reports with two seeds called a winner
    # on some slice. Rounding to a whole number has a variance of 1/12; half of it is enough, and
    # with more, two seeds would say less than they do.
    own, shared = _variances(d, 1 / (24 * examples**2))
    if np.isin(differences, (-1, 0, 1)).all():
        pairs = DiscordantPairs(int((d < 0).sum()), int((d > 0).sum()), d.size)
        mean = MeanDifference(float(d.mean()), own, shared, seeds - 1, pairs)
    else:
        count = seeds * (examples + 2)
        mean = MeanDifference(float(d.sum() / count), own, shared + 2 / count**2, seeds - 1)
    return _estimate(d, mean)


def _unbounded(d: npt.NDArray[np.float64]) -> MeanDifference:
    seeds, examples = d.shape
    if examples < 2:
        raise ValueError("of one example, nothing says how much others would differ")
    if seeds == 1:
        own = float(d.var(ddof=1) / examples)
        return MeanDifference(float(d.mean()), own, 0.0, _freedom(d[0]), bound=np.inf)
    own, shared = _variances(d, 0.0)
    return MeanDifference(float(d.mean()), own, shared, seeds - 1, bound=np.inf)


def _freedom(d: npt.NDArray[np.float64]) -> int:
    """Degrees of freedom with which the variance of one sample is known, by its kurtosis (Box 1953,
    "Non-normality and tests on variances", Biometrika 40): n - 1 for normal values, few where few
    examples make most of it, as those of a rare class do for the area under a ROC curve.
    """
    n, apart = len(d), d - d.mean()
    squares = (apart**2).sum()
    if not squares:
        return n - 1
    kurtosis = n * (apart**4).sum() / squares**2
    known = 2 * n / (kurtosis - (n - 3) / (n - 1))
    return max(1, min(n - 1, int(known)))


def _estimate(d: npt.NDArray[np.float64], mean: MeanDifference) -> PairedEstimate:
    low, high = mean.interval(LEVEL)
    inner_low, inner_high = mean.interval(2 * LEVEL)
    return PairedEstimate(
        difference=float(d.mean()),
        low=low,
        high=high,
        inner_low=inner_low,
        inner_high=inner_high,
        p_value=2 * mean.beyond(0.0, 1 if mean.centre >= 0 else -1),
        mean=mean,
    )


def _variances(d: npt.NDArray[np.float64], rounding: float) -> tuple[float, float]:
    """Variance of the mean that is estimated from the seeds, and what the examples all seeds share
    add to it.

    Args:
        d: [seeds, examples].
        rounding: variance that the seeds' means owe to being counts; 0 where they are none.
    """
    seeds, examples = d.shape
    if seeds == 1:
        return 0.0, float(d.var() / examples)
    by_seed, by_example = d.mean(axis=1), d.mean(axis=0)
    shared = 0.0
    if examples > 1:
        residual = d - by_seed[:, None] - by_example + d.mean()
        noise = (residual**2).sum() / ((seeds - 1) * (examples - 1))
        shared = max(0.0, by_example.var(ddof=1) - noise / seeds) / examples
    return float((by_seed.var(ddof=1) + rounding) / seeds), float(shared)


@dataclass(frozen=True)
class PairedTable:
    """How often one pair of models is right on the same examples."""

    both_right: int
    only_fit: int
    only_loop: int
    both_wrong: int

    @property
    def n(self) -> int:
        """Number of examples."""
        return self.both_right + self.only_fit + self.only_loop + self.both_wrong

    @property
    def mcnemar_p(self) -> float:
        """McNemar's exact two-sided p-value; 1.0 when no example differs."""
        apart = self.only_fit + self.only_loop
        fewer = min(self.only_fit, self.only_loop)
        return min(1.0, 2 * float(stats.binom.cdf(fewer, apart, 0.5)))

    def estimate(self) -> PairedEstimate:
        """The paired difference of this one pair; see `paired_estimate`."""
        d = np.repeat(
            np.array([0, -1, 1], np.int8),
            [self.both_right + self.both_wrong, self.only_fit, self.only_loop],
        )
        return paired_estimate(d[None])


def paired_table(fit: npt.NDArray[np.bool_], loop: npt.NDArray[np.bool_]) -> PairedTable:
    """The 2x2 table of one pair of models.

    Args:
        fit: whether the fit twin is right, [examples].
        loop: likewise.
    """
    return PairedTable(
        int((fit & loop).sum()),
        int((fit & ~loop).sum()),
        int((~fit & loop).sum()),
        int((~fit & ~loop).sum()),
    )


@dataclass(frozen=True)
class Outperformance:
    """How probable it is that the loop beats fit with a new seed (Bouthillier et al. 2021); ties
    count half.

    Attributes:
        probability: share of seeds in which the loop was better.
        low, high: 95 % interval (Clopper-Pearson), ties counted against and for.
    """

    probability: float
    low: float
    high: float


def outperformance(by_seed: npt.NDArray[np.float64]) -> Outperformance:
    """Probability that the loop outperforms fit.

    Args:
        by_seed: by how much the loop is better, of each seed, [seeds].
    """
    wins, ties, seeds = int((by_seed > 0).sum()), int((by_seed == 0).sum()), len(by_seed)
    low = stats.binomtest(wins, seeds).proportion_ci(0.95, method="exact").low
    high = stats.binomtest(wins + ties, seeds).proportion_ci(0.95, method="exact").high
    return Outperformance((wins + ties / 2) / seeds, float(low), float(high))


def holm(p_values: list[float]) -> list[float]:
    """p-values adjusted for testing all of them (Holm 1979), in the order given.

    As statsmodels has it, which takes longer to import than a page takes to draw, and collects
    garbage in every call.
    """
    given = np.asarray(p_values, np.float64)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(p) for p in adjusted]


def verdict(
    estimate: PairedEstimate,
    adjusted_p: float,
    margin: float,
    identical: bool,
    higher_is_better: bool = True,
) -> Verdict:
    """One word for one slice.

    Args:
        estimate: of the slice.
        adjusted_p: its p-value after `holm`.
        margin: within which a difference does not matter, in the measure of the differences.
        identical: the twins have the same weights, so that the difference is zero and not merely
            small.
        higher_is_better: whether a positive difference speaks for the loop; of errors, it does not.
    """
    if identical:
        return "identical"
    if estimate.equivalence_p(margin) < LEVEL:
        return "equivalent"
    if adjusted_p < LEVEL:
        return "loop_better" if (estimate.difference > 0) == higher_is_better else "fit_better"
    return "inconclusive"
