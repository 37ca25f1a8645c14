"""Paired statistics for two classifiers on the same examples, over one or several seeds.

Every function takes the paired differences d = correct(loop) - correct(fit), one row per seed, one column per example,
each -1, 0 or 1. Differences and intervals are shares (0.01 is one percentage point).

Sources: Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of binomial proportions based on
paired data", J. Educ. Behav. Stat. 37; Bouthillier et al. (2021), "Accounting for variance in machine learning
benchmarks", MLSys; Schuirmann (1987) for the two one-sided tests; Holm (1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

Verdict = Literal["identical", "equivalent", "fit_better", "loop_better", "inconclusive"]
LEVEL = 0.05
Differences = npt.NDArray[np.int8]


@dataclass(frozen=True)
class PairedEstimate:
    """A paired difference with what is known about it.

    Attributes:
        difference: mean of d, loop minus fit.
        low, high: 95 % interval.
        inner_low, inner_high: 90 % interval, which decides equivalence (two one-sided tests at 5 %).
        p_value: of no difference, two-sided.
        mcnemar_p: McNemar's exact test on the first seed alone.
    """

    difference: float
    low: float
    high: float
    inner_low: float
    inner_high: float
    p_value: float
    mcnemar_p: float


def paired_estimate(differences: Differences) -> PairedEstimate:
    """Estimate the mean paired difference with both sources of variance, examples and seeds.

    The examples' share of the variance is taken with one pair added on either side (Bonett and Price), which keeps the
    interval honest for few examples and for none that differ. The seeds' share is the variance of the seeds' means. With one seed, seeds were not varied and the interval holds for these two models only.

    Args:
        differences: [seeds, examples], values -1, 0, 1.

    Raises:
        ValueError: there is no example.
    """
    seeds, examples = differences.shape
    if not seeds or not examples:
        raise ValueError("paired_estimate needs at least one seed and one example")
    d = differences.astype(np.float64)
    per_example = np.concatenate([d.mean(axis=0), [1.0, -1.0]])
    centre = per_example.mean()
    example_variance = per_example.var(ddof=1) / len(per_example)
    seed_variance, freedom = 0.0, np.inf
    if seeds > 1:
        # What the seeds' means owe to their examples is not subtracted: with two or three seeds the remainder is so
        # uncertain that the interval would cover less than it says (0.88 instead of 0.95 in simulation).
        seed_variance = d.mean(axis=1).var(ddof=1) / seeds
        if seed_variance:
            # Satterthwaite: only the seeds' part has few degrees of freedom.
            freedom = (example_variance + seed_variance) ** 2 / (seed_variance**2 / (seeds - 1))
    spread = np.sqrt(example_variance + seed_variance)
    outer, inner = (spread * stats.t.ppf(1 - tail, freedom) for tail in (LEVEL / 2, LEVEL))
    return PairedEstimate(
        difference=float(d.mean()),
        low=float(max(-1.0, centre - outer)),
        high=float(min(1.0, centre + outer)),
        inner_low=float(max(-1.0, centre - inner)),
        inner_high=float(min(1.0, centre + inner)),
        p_value=float(2 * stats.t.sf(abs(centre) / spread, freedom)),
        mcnemar_p=mcnemar_exact(differences[0]),
    )


def mcnemar_exact(differences: Differences) -> float:
    """McNemar's exact two-sided p-value for one pair of models; 1.0 when no example differs.

    Args:
        differences: [examples], values -1, 0, 1.
    """
    worse, better = int((differences < 0).sum()), int((differences > 0).sum())
    if not worse + better:
        return 1.0
    return float(mcnemar([[0, worse], [better, 0]], exact=True).pvalue)


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
    if -margin < estimate.inner_low and estimate.inner_high < margin:
        return "equivalent"
    if adjusted_p < LEVEL:
        return "fit_better" if estimate.difference < 0 else "loop_better"
    return "inconclusive"
