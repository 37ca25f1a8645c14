"""Paired statistics for two classifiers on the same examples, over one or several seeds.

Every function takes the paired differences d = correct(loop) - correct(fit), one row per seed, one column per example,
each from -1 to 1. Differences and intervals are shares (0.01 is one percentage point).

Sources: Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of binomial proportions based on
paired data", J. Educ. Behav. Stat. 37; Bouthillier et al. (2021), "Accounting for variance in machine learning
benchmarks", MLSys; Robinson (1976), "Properties of Student's t and of the Behrens-Fisher solution to the two means
problem", Ann. Statist. 4; Schuirmann (1987) for the two one-sided tests, Tango (1998), "Equivalence test and confidence interval for the
difference in proportions for the paired-sample design", Stat. Med. 17; Holm (1979).
How well intervals cover and verdicts err was simulated: benchmarks/statistics.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

Verdict = Literal["identical", "equivalent", "fit_better", "loop_better", "inconclusive"]
LEVEL = 0.05
Differences = npt.NDArray[np.int8] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class MeanDifference:
    """The mean paired difference with its two sources of error: centre + sqrt(seeds) t + sqrt(examples) z.

    Attributes:
        centre: what intervals are laid around.
        seeds: variance of the mean due to seeds, estimated from them; 0 for one seed.
        examples: the remaining variance, known well because examples are many.
        freedom: degrees of freedom of t, the number of seeds less one.
    """

    centre: float
    seeds: float
    examples: float
    freedom: int

    def below(self, distance: float) -> float:
        """Probability that the error is below `distance`."""
        return float(stats.norm.cdf(distance / np.sqrt(self._variances())).dot(_weights()))

    def reach(self, level: float) -> float:
        """The distance that the error exceeds with probability `level`, counting both directions."""
        widest = np.sqrt(self.seeds) * stats.t.isf(level / 2, max(self.freedom, 1)) if self.seeds else 0.0
        top = 1.001 * (widest + np.sqrt(self.examples) * stats.norm.isf(level / 2))
        return float(optimize.brentq(lambda x: self.below(x) - (1 - level / 2), 0.0, top, xtol=1e-14, rtol=1e-12))

    def _variances(self) -> npt.NDArray[np.float64]:
        # Student's t is normal given a chi-squared variance; over the quantiles of that variance the sum of t and z is
        # a mixture of normals, smooth however unequal the two parts are.
        return self.examples + (self.seeds * _inverse_chi2(self.freedom) if self.seeds else np.zeros(len(_weights())))


@cache
def _nodes() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    points, weights = np.polynomial.legendre.leggauss(400)
    return (points + 1) / 2, weights / 2


def _weights() -> npt.NDArray[np.float64]:
    return _nodes()[1]


@cache
def _inverse_chi2(freedom: int) -> npt.NDArray[np.float64]:
    return freedom / stats.chi2.ppf(_nodes()[0], freedom)


@dataclass(frozen=True)
class PairedEstimate:
    """A paired difference with what is known about it.

    Attributes:
        difference: mean of d, loop minus fit.
        low, high: 95 % interval.
        inner_low, inner_high: 90 % interval; where it reaches beyond the margin, equivalence is not shown.
        p_value: of no difference, two-sided.
        mean: the distribution these come from.
        worse, better, trials: how often only fit was right, only the loop, and all cases, over all seeds.
    """

    difference: float
    low: float
    high: float
    inner_low: float
    inner_high: float
    p_value: float
    mean: MeanDifference
    worse: int
    better: int
    trials: int

    def equivalence_p(self, margin: float) -> float:
        """p-value of the two one-sided tests: small when the difference is within +- `margin` (a share).

        The variance is what it would be if the difference were the margin (Tango 1998): twins that seem closer than
        they are also seem to vary less, and by their own variance too many would pass (up to 7 % of those that differ
        by exactly the margin, instead of 5).
        """
        centre = self.mean.centre
        above = (margin - centre) / self._widening(margin)
        below = (centre + margin) / self._widening(-margin)
        return max(1 - self.mean.below(above), 1 - self.mean.below(below))

    def beyond_p(self, margin: float) -> float:
        """p-value, two-sided, of the difference being within +- `margin` (a share): small when it is beyond."""
        return min(1.0, 2 * (1 - self.mean.below(abs(self.mean.centre) - margin)))

    def _widening(self, difference: float) -> float:
        """Standard error if the true difference were that, as a multiple of the estimated one; at least 1."""
        better, worse, trials = self.better + 1, self.worse + 1, self.trials + 2
        slope = -better - worse + (2 * trials - better + worse) * difference
        product = -worse * difference * (1 - difference)
        only_fit = (np.sqrt(max(slope**2 - 8 * trials * product, 0.0)) - slope) / (4 * trials)
        assumed = 2 * only_fit + difference * (1 - difference)
        observed = (better + worse) / trials - ((better - worse) / trials) ** 2
        return float(np.sqrt(max(1.0, assumed / observed)))


def paired_estimate(differences: Differences) -> PairedEstimate:
    """Estimate the mean paired difference with both sources of variance, examples and seeds.

    One seed: Bonett and Price's interval, with one pair added on either side, which keeps it honest for few examples
    and for none that differ. Seeds were not varied; it holds for these two models only.
    Several seeds: seeds and examples are crossed. The seeds' means tell the variance due to seeds, and what every seed
    owes to its own examples, with as many degrees of freedom as there are seeds less one; the examples that go wrong in
    every seed alike add a variance that is known well. The two are summed as Behrens and Fisher do.

    Args:
        differences: [seeds, examples], values from -1 to 1.

    Raises:
        ValueError: there is no example.
    """
    seeds, examples = differences.shape
    if not seeds or not examples:
        raise ValueError("paired_estimate needs at least one seed and one example")
    d = differences.astype(np.float64)
    mean = _one_seed(d[0]) if seeds == 1 else _several_seeds(d)
    outer, inner = mean.reach(LEVEL), mean.reach(2 * LEVEL)
    return PairedEstimate(
        difference=float(d.mean()),
        low=max(-1.0, mean.centre - outer),
        high=min(1.0, mean.centre + outer),
        inner_low=max(-1.0, mean.centre - inner),
        inner_high=min(1.0, mean.centre + inner),
        p_value=2 * (1 - mean.below(abs(mean.centre))),
        mean=mean,
        worse=int((d < 0).sum()),
        better=int((d > 0).sum()),
        trials=d.size,
    )


def _one_seed(d: npt.NDArray[np.float64]) -> MeanDifference:
    count = len(d) + 2
    centre = d.sum() / count
    return MeanDifference(float(centre), 0.0, float(((d**2).sum() + 2) / count - centre**2) / count, 0)


def _several_seeds(d: npt.NDArray[np.float64]) -> MeanDifference:
    seeds, examples = d.shape
    by_seed, by_example = d.mean(axis=1), d.mean(axis=0)
    shared = 0.0
    if examples > 1:
        residual = d - by_seed[:, None] - by_example + d.mean()
        noise = (residual**2).sum() / ((seeds - 1) * (examples - 1))
        shared = max(0.0, by_example.var(ddof=1) - noise / seeds) / examples
    # Counts are whole numbers, so that two or three seeds agree by chance often enough, and that must not pass for
    # certainty: without their rounding, 22 % of A/A reports with two seeds called a winner on some slice.
    rounding = 1 / (6 * examples**2)
    added = 2 / (seeds * (examples + 2)) ** 2
    centre = d.sum() / (seeds * (examples + 2))
    own = (by_seed.var(ddof=1) + rounding) / seeds
    return MeanDifference(float(centre), float(own), float(shared + added), seeds - 1)


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
        if not self.only_fit + self.only_loop:
            return 1.0
        return float(mcnemar([[self.both_right, self.only_fit], [self.only_loop, self.both_wrong]], exact=True).pvalue)

    def estimate(self) -> PairedEstimate:
        """The paired difference of this one pair; see `paired_estimate`."""
        d = np.repeat(np.array([0, -1, 1], np.int8), [self.both_right + self.both_wrong, self.only_fit, self.only_loop])
        return paired_estimate(d[None])


def paired_table(fit: npt.NDArray[np.bool_], loop: npt.NDArray[np.bool_]) -> PairedTable:
    """The 2x2 table of one pair of models.

    Args:
        fit: whether the fit twin is right, [examples].
        loop: likewise.
    """
    return PairedTable(
        int((fit & loop).sum()), int((fit & ~loop).sum()), int((~fit & loop).sum()), int((~fit & ~loop).sum())
    )


@dataclass(frozen=True)
class Outperformance:
    """How probable it is that the loop beats fit with a new seed (Bouthillier et al. 2021); ties count half.

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
        by_seed: difference in accuracy of each seed, [seeds].
    """
    wins, ties, seeds = int((by_seed > 0).sum()), int((by_seed == 0).sum()), len(by_seed)
    low = stats.binomtest(wins, seeds).proportion_ci(0.95, method="exact").low
    high = stats.binomtest(wins + ties, seeds).proportion_ci(0.95, method="exact").high
    return Outperformance((wins + ties / 2) / seeds, float(low), float(high))


def holm(p_values: list[float]) -> list[float]:
    """p-values adjusted for testing all of them (Holm 1979)."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, alpha=LEVEL, method="holm")[1]]


def verdict(estimate: PairedEstimate, adjusted_p: float, margin: float, identical: bool) -> Verdict:
    """One word for one slice.

    Args:
        estimate: of the slice.
        adjusted_p: its p-value after `holm`.
        margin: share within which a difference does not matter.
        identical: the twins have the same weights, so that the difference is zero and not merely small.
    """
    if identical:
        return "identical"
    if estimate.equivalence_p(margin) < LEVEL:
        return "equivalent"
    if adjusted_p < LEVEL:
        return "fit_better" if estimate.difference < 0 else "loop_better"
    return "inconclusive"
