from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from twintrain.statistics import PairedEstimate, holm, mcnemar_exact, paired_estimate, verdict

DIFFERENCES = hnp.arrays(np.int8, st.tuples(st.integers(1, 4), st.integers(1, 60)), elements=st.integers(-1, 1))


@given(DIFFERENCES)
def test_any_input_gives_a_usable_interval(differences: np.ndarray) -> None:
    estimate = paired_estimate(differences)
    assert -1 <= estimate.low <= estimate.inner_low <= estimate.inner_high <= estimate.high <= 1
    assert estimate.low < estimate.high
    assert 0 <= estimate.p_value <= 1
    assert 0 <= estimate.mcnemar_p <= 1
    assert estimate.difference == pytest.approx(differences.mean())


@given(DIFFERENCES)
def test_swapping_the_twins_mirrors_the_result(differences: np.ndarray) -> None:
    one, other = paired_estimate(differences), paired_estimate(-differences)
    assert one.low == pytest.approx(-other.high)
    assert one.p_value == pytest.approx(other.p_value)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_binomial_test_on_discordant_pairs(worse: int, better: int) -> None:
    differences = np.array([-1] * worse + [1] * better + [0] * 5, np.int8)
    expected = stats.binomtest(worse, worse + better).pvalue if worse + better else 1.0
    assert mcnemar_exact(differences) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("seeds", "discordant", "seed_spread"),
    [(1, 0.02, 0.0), (3, 0.1, 0.0), (3, 0.001, 0.0), (3, 0.02, 0.003), (3, 0.02, 0.006), (2, 0.02, 0.003)],
)
def test_intervals_cover_the_truth(seeds: int, discordant: float, seed_spread: float) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        shift = rng.normal(0, seed_spread, (seeds, 1))
        draws = rng.uniform(size=(seeds, 2000))
        worse, better = draws < (discordant - shift) / 2, draws > 1 - (discordant + shift) / 2
        differences = better.astype(np.int8) - worse.astype(np.int8)
        estimate = paired_estimate(differences)
        covered += estimate.low <= 0 <= estimate.high
    assert covered >= 0.93 * 400


def test_variance_of_seeds_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    base = np.zeros((3, 2000), np.int8)
    shifted = base.copy()
    for row, share in enumerate((0.05, 0.0, -0.05)):
        chosen = rng.choice(2000, int(abs(share) * 2000), replace=False)
        shifted[row, chosen] = np.sign(share)
        base[row, rng.choice(2000, 66, replace=False)] = rng.choice([-1, 1], 66)
    wide, narrow = paired_estimate(shifted), paired_estimate(base)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_no_example_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        paired_estimate(np.empty((1, 0), np.int8))


def test_holm_agrees_with_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def estimate(low: float, high: float) -> PairedEstimate:
    middle = (low + high) / 2
    return PairedEstimate(middle, low, high, low * 0.9 + middle * 0.1, high * 0.9 + middle * 0.1, 0.5, 0.5)


@pytest.mark.parametrize(
    ("low", "high", "p", "identical", "expected"),
    [
        (-0.5, 0.5, 1.0, True, "identical"),
        (-0.0005, 0.0005, 1.0, False, "equivalent"),
        (-0.0008, -0.0002, 0.001, False, "equivalent"),
        (-0.05, -0.01, 0.001, False, "fit_better"),
        (0.01, 0.05, 0.001, False, "loop_better"),
        (-0.05, 0.01, 0.2, False, "inconclusive"),
        (-0.05, -0.01, 0.06, False, "inconclusive"),
    ],
)
def test_verdicts(low: float, high: float, p: float, identical: bool, expected: str) -> None:
    assert verdict(estimate(low, high), p, 0.001, identical) == expected
