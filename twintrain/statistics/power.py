"""How many seeds and test examples a comparison needs to see a gap of a given size.

The gap of one seed varies because the test examples are a sample (twins that disagree on a share q
of n examples: variance about q / n) and because seeds differ (variance tau^2). Part of the former
is examples that go wrong in every seed alike: more seeds do not average it away. The test is that
of `twintrain.statistics.paired`; one seed speaks for its two models only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from twintrain.errors import TwintrainError
from twintrain.statistics.mean_difference import MeanDifference
from twintrain.statistics.paired import LEVEL

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Assumptions:
    """What is assumed of the twins; everything in percentage points or percent.

    Attributes:
        gap_points: the true gap that should be found.
        disagreement_percent: test examples on which exactly one twin of a seed is right.
        seed_sd_points: standard deviation of the true gap over seeds.
        shared: share of the examples' variance that all seeds have in common.
        power: probability of finding it.
    """

    gap_points: float
    disagreement_percent: float
    seed_sd_points: float
    shared: float = 0.0
    power: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.gap_points <= 100:
            raise TwintrainError(
                f"A gap of {self.gap_points:g} points cannot be planned for.", "0 < gap <= 100."
            )
        if not self.gap_points <= self.disagreement_percent <= 100:
            raise TwintrainError(
                f"Twins that disagree on {self.disagreement_percent:g} % of the examples cannot be "
                f"{self.gap_points:g} points apart.",
                "The disagreement is at least as large as the gap, and at most 100.",
            )
        if self.seed_sd_points < 0 or not 0 <= self.shared <= 1 or not LEVEL < self.power < 1:
            raise TwintrainError(
                "The plan is not possible.",
                "seed-sd is at least 0, shared from 0 to 1, power between 0.05 and 1.",
            )

    def error(self, seeds: int, examples: int) -> MeanDifference:
        """The error of the mean gap over that many seeds, percentage points."""
        share, gap = self.disagreement_percent / 100, self.gap_points / 100
        sampled = 1e4 * (share - gap**2) / examples
        own = (self.seed_sd_points**2 + (1 - self.shared) * sampled) / seeds
        return MeanDifference(0.0, own, self.shared * sampled, seeds - 1)


def power_of(assumed: Assumptions, seeds: int, examples: int) -> float:
    """Probability that so many seeds (two or more) and test examples show the gap at 5 %,
    two-sided; approximate.
    """
    error = assumed.error(seeds, examples)
    variance = error.seeds + error.examples
    # Satterthwaite: only the seeds' part is uncertain.
    freedom = error.freedom * variance**2 / error.seeds**2 if error.seeds else 1e9
    sd = math.sqrt(variance)
    return float(stats.nct.sf(error.reach(LEVEL) / sd, min(freedom, 1e9), assumed.gap_points / sd))


def seeds_needed(assumed: Assumptions, examples: int) -> int | None:
    """Seeds of each twin; None when `MOST_SEEDS` are not enough, for lack of test examples most
    often.
    """
    if power_of(assumed, MOST_SEEDS, examples) < assumed.power:
        return None
    low, high = 1, MOST_SEEDS  # too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle)
            if power_of(assumed, middle, examples) >= assumed.power
            else (middle, high)
        )
    return high


def examples_needed(assumed: Assumptions) -> int:
    """Test examples with which a single pair of models shows its gap (5 %, two-sided)."""
    reach = stats.norm.isf(LEVEL / 2) + stats.norm.isf(1 - assumed.power)
    share, gap = assumed.disagreement_percent / 100, assumed.gap_points / 100
    return math.ceil(reach**2 * (share - gap**2) / gap**2)
