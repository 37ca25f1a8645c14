"""How many seeds and test examples a comparison needs to see a gap of a given size.

Beyond the effect itself, the gap of one seed varies because the test examples are a sample (twins that disagree on a
share q of n examples: variance about q / n) and because seeds differ (variance tau^2). Several seeds are a paired
t-test over the seeds' gaps; one seed is a normal test on the examples alone, and speaks for these two models only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats
from statsmodels.stats.power import TTestPower

from twintrain.errors import TwintrainError
from twintrain.statistics import LEVEL

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Assumptions:
    """What is assumed of the twins; everything in percentage points or percent.

    Attributes:
        gap_points: the true gap that should be found.
        disagreement_percent: test examples on which exactly one twin of a seed is right.
        seed_sd_points: standard deviation of the true gap over seeds.
        power: probability of finding it.
    """

    gap_points: float
    disagreement_percent: float
    seed_sd_points: float
    power: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.gap_points <= 100:
            raise TwintrainError(f"A gap of {self.gap_points:g} points cannot be planned for.", "0 < gap <= 100.")
        if not self.gap_points <= self.disagreement_percent <= 100:
            raise TwintrainError(
                f"Twins that disagree on {self.disagreement_percent:g} % of the examples cannot be {self.gap_points:g} "
                "points apart.",
                "The disagreement is at least as large as the gap, and at most 100.",
            )
        if self.seed_sd_points < 0 or not LEVEL < self.power < 1:
            raise TwintrainError("The plan is not possible.", "seed-sd is at least 0, power between 0.05 and 1.")

    def sd_of_one_seed(self, examples: int) -> float:
        """Standard deviation of one seed's measured gap on that many test examples, percentage points."""
        share, gap = self.disagreement_percent / 100, self.gap_points / 100
        return math.sqrt(self.seed_sd_points**2 + 1e4 * (share - gap**2) / examples)


def seeds_needed(assumed: Assumptions, examples: int) -> int | None:
    """Seeds of each twin for a two-sided 5 % test over seeds; None when more than `MOST_SEEDS`."""
    effect = assumed.gap_points / assumed.sd_of_one_seed(examples)
    power = TTestPower()
    if power.power(effect, MOST_SEEDS, LEVEL) < assumed.power:
        return None
    # Not solve_power: near two seeds its root finding leaves the range where a t-test exists.
    return next(n for n in range(2, MOST_SEEDS + 1) if power.power(effect, n, LEVEL) >= assumed.power)


def examples_needed(assumed: Assumptions) -> int:
    """Test examples with which a single pair of models shows its gap (5 %, two-sided)."""
    reach = stats.norm.isf(LEVEL / 2) + stats.norm.isf(1 - assumed.power)
    share, gap = assumed.disagreement_percent / 100, assumed.gap_points / 100
    return math.ceil(reach**2 * (share - gap**2) / gap**2)
