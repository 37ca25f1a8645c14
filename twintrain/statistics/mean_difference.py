"""The distribution of a mean paired difference, of which one part is known from seeds and one from
examples. Sources: see `paired`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats


@dataclass(frozen=True)
class DiscordantPairs:
    """How often only one twin was right, over all seeds.

    Attributes:
        worse, better: how often only fit was right, and only the loop.
        trials: all cases, seeds times examples.
    """

    worse: int
    better: int
    trials: int

    @property
    def variance(self) -> float:
        """Variance of one paired difference."""
        return (self.better + self.worse) / self.trials - (
            (self.better - self.worse) / self.trials
        ) ** 2

    def variance_if(self, truth: float) -> float:
        """The same if the true difference were `truth`: the likeliest that agrees with it (Tango
        1998).
        """
        slope = -self.better - self.worse + (2 * self.trials - self.better + self.worse) * truth
        product = -self.worse * truth * (1 - truth)
        only_fit = (np.sqrt(max(slope**2 - 8 * self.trials * product, 0.0)) - slope) / (
            4 * self.trials
        )
        return float(2 * only_fit + truth * (1 - truth))


@dataclass(frozen=True)
class MeanDifference:
    """The mean paired difference with its two sources of error: centre + sqrt(seeds) t +
    sqrt(examples) z.

    Attributes:
        centre: the mean.
        seeds: variance of the mean due to seeds, estimated from them; 0 for one seed.
        examples: the remaining variance, known well because examples are many.
        freedom: degrees of freedom of t, the number of seeds less one.
        pairs: what the differences count; None where they are weighted and count nothing.
        bound: what no true difference exceeds, either way.
    """

    centre: float
    seeds: float
    examples: float
    freedom: int
    pairs: DiscordantPairs | None = None
    bound: float = 1.0

    def below(self, distance: float) -> float:
        """Probability that the error is below `distance`."""
        if not self.seeds:
            spread = np.sqrt(self.examples)
            return float(special.ndtr(distance / spread) if spread else np.heaviside(distance, 0.5))
        # Student's t is normal given a chi-squared variance; over the quantiles of that variance
        # the sum of t and z is a mixture of normals, smooth however unequal the two parts are.
        variances = self.examples + self.seeds * _inverse_chi2(self.freedom)
        return float(special.ndtr(distance / np.sqrt(variances)).dot(_nodes()[1]))

    def reach(self, level: float) -> float:
        """The distance that the error exceeds with probability `level`, in either direction."""
        if np.sqrt(self.seeds + self.examples) <= 1e-12 * abs(self.centre):
            return 0.0  # every difference is the same, to rounding
        widest = (
            np.sqrt(self.seeds) * stats.t.isf(level / 2, max(self.freedom, 1))
            if self.seeds
            else 0.0
        )
        top = 1.001 * (widest + np.sqrt(self.examples) * stats.norm.isf(level / 2))
        return float(
            optimize.brentq(
                lambda x: self.below(x) - (1 - level / 2), 0.0, top, xtol=1e-14, rtol=1e-12
            )
        )

    def beyond(self, truth: float, side: int) -> float:
        """Probability of a mean so far above (side 1) or below (side -1) the true difference, if
        that were `truth`.
        """
        return 1 - self._if(truth).below(side * (self.centre - truth))

    def interval(self, level: float) -> tuple[float, float]:
        """Every possible true difference that the mean does not contradict at that level."""
        if self.pairs is None:
            reach = self.reach(level)
            return max(-self.bound, self.centre - reach), min(self.bound, self.centre + reach)
        return self._end(-1, level), self._end(1, level)

    def _end(self, side: int, level: float) -> float:
        def contradicted(truth: float) -> float:
            return level / 2 - self.beyond(truth, -side)

        if contradicted(side) <= 0:
            return float(side)
        return float(optimize.brentq(contradicted, self.centre, side, xtol=1e-14, rtol=1e-12))

    def _if(self, truth: float) -> MeanDifference:
        # Twins that seem closer than they are also seem to vary less: by the variance they seem to
        # have, too many that differ by exactly the margin would pass for equivalent (up to 7 %, not
        # 5), and few discordant pairs, or none, would say too much. Seeds that err on the same
        # examples count as fewer trials.
        if self.pairs is None:
            return self
        trials, variance = self.pairs.trials, self.pairs.variance
        examples = trials / (self.freedom + 1)
        alike = (
            1 + self.freedom * min(1.0, self.examples * examples / variance) if variance else 1.0
        )
        further = alike * (self.pairs.variance_if(truth) - variance) / trials
        return replace(self, examples=max(0.0, self.examples + further))


@cache
def _nodes() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    points, weights = special.roots_legendre(400)
    return (points + 1) / 2, weights / 2


@cache
def _inverse_chi2(freedom: int) -> npt.NDArray[np.float64]:
    return freedom / stats.chi2.ppf(_nodes()[0], freedom)
