from __future__ import annotations

import numpy as np
import pytest

from twintrain.errors import TwintrainError
from twintrain.statistics.paired import PairedTable, paired_estimate
from twintrain.statistics.power import Assumptions, examples_needed, seeds_needed


def simulated(assumed: Assumptions, seeds: int, examples: int, runs: int = 400) -> float:
    """How often the comparison sees the gap, in percent of the runs."""
    rng, seen = np.random.default_rng(0), 0
    share, gap = assumed.disagreement_percent / 100, assumed.gap_points / 100
    for _ in range(runs):
        drift = rng.normal(-gap, assumed.seed_sd_points / 100, (seeds, 1)).clip(-share, share)
        draws = rng.uniform(size=(seeds, examples))
        better, worse = draws < (share + drift) / 2, draws > 1 - (share - drift) / 2
        seen += paired_estimate(better.astype(np.int8) - worse.astype(np.int8)).high < 0
    return seen / runs


@pytest.mark.parametrize(("gap", "sd", "examples"), [(0.6, 0.1, 2000), (1.0, 0.4, 5000)])
def test_the_plan_reaches_its_power(gap: float, sd: float, examples: int) -> None:
    assumed = Assumptions(gap, 3.0, sd)
    seeds = seeds_needed(assumed, examples)
    assert seeds is not None
    assert 0.72 < simulated(assumed, seeds, examples) < 0.95


def test_one_pair_of_models_needs_the_examples_it_is_said_to() -> None:
    assumed = Assumptions(1.0, 5.0, 0.0)
    assert 0.74 < simulated(assumed, 1, examples_needed(assumed)) < 0.86
    assert PairedTable(10, 0, 0, 0).estimate().low < 0


def test_more_examples_need_fewer_seeds_and_hopeless_plans_say_so() -> None:
    assumed = Assumptions(0.15, 1.3, 0.04)
    shared = Assumptions(0.15, 1.3, 0.04, shared=0.5)
    assert seeds_needed(shared, 10_000) is None  # what all seeds have in common is too much already
    assert (seeds_needed(shared, 40_000) or 0) > (seeds_needed(assumed, 40_000) or 0)
    few, many = seeds_needed(assumed, 10_000), seeds_needed(assumed, 100_000)
    assert few is not None
    assert many is not None
    assert many < few
    assert seeds_needed(Assumptions(0.001, 1.3, 0.04), 1000) is None


@pytest.mark.parametrize("wrong", [(0, 1, 0), (2, 1, 0), (1, 2, -1), (1, 200, 0)])
def test_impossible_assumptions_are_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(TwintrainError):
        Assumptions(*wrong)
