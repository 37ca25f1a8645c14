from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from twintrain.statistics.mean_difference import DiscordantPairs, MeanDifference
from twintrain.statistics.paired import (
    PairedEstimate,
    PairedTable,
    holm,
    outperformance,
    paired_estimate,
    paired_table,
    verdict,
)

DIFFERENCES = hnp.arrays(
    np.int8, st.tuples(st.integers(1, 4), st.integers(1, 60)), elements=st.integers(-1, 1)
)
CELLS = st.integers(0, 40)


@given(DIFFERENCES)
def test_any_input_gives_a_usable_interval(differences: np.ndarray) -> None:
    estimate = paired_estimate(differences)
    assert -1 <= estimate.low <= estimate.inner_low <= estimate.inner_high <= estimate.high <= 1
    assert estimate.low < estimate.high
    assert 0 <= estimate.p_value <= 1
    assert estimate.difference == pytest.approx(differences.mean())


@given(DIFFERENCES)
def test_swapping_the_twins_mirrors_the_result(differences: np.ndarray) -> None:
    one, other = paired_estimate(differences), paired_estimate(-differences)
    assert one.low == pytest.approx(-other.high)
    assert one.p_value == pytest.approx(other.p_value)


@given(DIFFERENCES)
def test_the_p_value_is_small_exactly_where_the_interval_leaves_zero_out(
    differences: np.ndarray,
) -> None:
    estimate = paired_estimate(differences)
    if estimate.low not in (-1, 0) and estimate.high not in (0, 1):
        assert (estimate.p_value < 0.05) == (not estimate.low <= 0 <= estimate.high)


@given(DIFFERENCES, st.floats(0.001, 0.999))
def test_equivalence_is_never_shown_where_the_90_percent_interval_leaves_the_margin(
    differences: np.ndarray, margin: float
) -> None:
    estimate = paired_estimate(differences)
    reach = max(abs(estimate.inner_low), abs(estimate.inner_high))
    if reach > margin + 1e-9:
        assert estimate.equivalence_p(margin) > 0.05


def test_the_variance_is_the_likeliest_that_agrees_with_the_difference() -> None:
    """The constrained estimate of Tango (1998) maximizes the likelihood of the counts with the
    difference held.
    """
    better, worse, n, difference = 30, 12, 1000, 0.03
    shares = np.linspace(1e-6, 0.1, 2_000_001)
    likelihood = better * np.log(shares + difference) + worse * np.log(shares)
    likelihood += (n - better - worse) * np.log(1 - 2 * shares - difference)
    best = shares[likelihood.argmax()]
    assumed = 2 * best + difference - difference**2
    assert DiscordantPairs(worse, better, n).variance_if(difference) == pytest.approx(
        assumed, rel=1e-4
    )
    assert DiscordantPairs(worse, better, n).variance_if(0.018) == pytest.approx(
        DiscordantPairs(worse, better, n).variance
    )


@given(CELLS, CELLS, CELLS, CELLS)
def test_one_pair_of_models_gets_tangos_interval(a: int, b: int, c: int, d: int) -> None:
    """Its ends are where Tango's score, written as in the paper, is 1.96; in exact fractions up to
    the roots.
    """
    if not a + b + c + d:
        return
    n = a + b + c + d
    estimate = PairedTable(a, b, c, d).estimate()
    for end in (estimate.low, estimate.high):
        if abs(end) > 0.999:
            continue
        truth = Fraction(end)
        slope, product = -b - c + (2 * n - c + b) * truth, -b * truth * (1 - truth)
        share = (math.sqrt(slope**2 - 8 * n * product) - float(slope)) / (4 * n)
        score = (c - b - n * end) / math.sqrt(n * (2 * share + end * (1 - end)))
        assert abs(score) == pytest.approx(stats.norm.ppf(0.975), abs=1e-9)


def test_the_published_example_of_tangos_interval() -> None:
    """Airway hyper-responsiveness, Fagerland, Lydersen and Laake (2014), Stat. Med. 33, table IV:
    -0.517 to -0.026.
    """
    estimate = PairedTable(both_right=1, only_fit=7, only_loop=1, both_wrong=12).estimate()
    assert (round(estimate.low, 3), round(estimate.high, 3)) == (-0.517, -0.026)


@given(st.integers(1, 500), CELLS)
def test_no_discordant_pair_leaves_what_the_number_of_examples_leaves(n: int, wrong: int) -> None:
    """Tango's interval in closed form: a difference of z^2 / (n + z^2) would have shown, one way or
    the other.
    """
    estimate = PairedTable(n, 0, 0, wrong).estimate()
    z2 = stats.norm.ppf(0.975) ** 2
    assert estimate.high == pytest.approx(z2 / (n + wrong + z2), abs=1e-9)
    assert estimate.low == pytest.approx(-z2 / (n + wrong + z2), abs=1e-9)
    assert estimate.p_value == 1


@given(CELLS, CELLS)
def test_the_p_value_of_one_pair_is_mcnemars(worse: int, better: int) -> None:
    if worse + better:
        expected = float(mcnemar([[5, worse], [better, 3]], exact=False, correction=False).pvalue)
        assert PairedTable(5, worse, better, 3).estimate().p_value == pytest.approx(
            expected, abs=1e-9
        )


def test_weighted_differences_get_bonett_and_prices_interval() -> None:
    d = np.repeat([-0.5, 0.0, 0.25], [3, 50, 7])
    count = len(d) + 2
    estimate = paired_estimate(d[None])
    centre, variance = d.sum() / count, d.var() / len(d) + 2 / count**2
    assert estimate.high == pytest.approx(
        centre + stats.norm.ppf(0.975) * np.sqrt(variance), abs=1e-9
    )


@given(CELLS, CELLS)
def test_mcnemar_is_the_binomial_test_on_discordant_pairs(worse: int, better: int) -> None:
    expected = stats.binomtest(worse, worse + better).pvalue if worse + better else 1.0
    assert PairedTable(5, worse, better, 3).mcnemar_p == pytest.approx(expected, abs=1e-9)


@given(hnp.arrays(np.bool_, (2, 40)))
def test_the_table_counts_pairs(right: np.ndarray) -> None:
    table = paired_table(right[0], right[1])
    assert table.n == 40
    assert table.both_right + table.only_fit == right[0].sum()
    assert table.both_right + table.only_loop == right[1].sum()
    assert table.estimate().difference == pytest.approx(right[1].mean() - right[0].mean())


@pytest.mark.parametrize("freedom", [1, 2, 4, 30])
def test_the_error_is_students_t_where_examples_add_nothing(freedom: int) -> None:
    mean = MeanDifference(0.0, seeds=4.0, examples=0.0, freedom=freedom)
    assert mean.reach(0.05) == pytest.approx(2 * stats.t.ppf(0.975, freedom), rel=1e-6)
    normal = MeanDifference(0.0, seeds=0.0, examples=4.0, freedom=freedom)
    assert normal.reach(0.05) == pytest.approx(2 * stats.norm.ppf(0.975), abs=1e-9)


@pytest.mark.parametrize(("seeds", "examples"), [(1.0, 1.0), (0.01, 1.0), (1.0, 0.01)])
def test_the_sum_of_t_and_normal_is_that_of_a_simulation(seeds: float, examples: float) -> None:
    rng = np.random.default_rng(0)
    draws = np.sqrt(seeds) * rng.standard_t(2, 400_000) + np.sqrt(examples) * rng.normal(
        size=400_000
    )
    reach = MeanDifference(0.0, seeds, examples, 2).reach(0.05)
    assert (np.abs(draws) > reach).mean() == pytest.approx(0.05, abs=0.0015)


@pytest.mark.parametrize(
    ("seeds", "discordant", "seed_spread"),
    [
        (1, 0.02, 0.0),
        (3, 0.1, 0.0),
        (3, 0.02, 0.003),
        (3, 0.02, 0.006),
        (2, 0.02, 0.003),
        (5, 0.02, 0.002),
    ],
)
def test_intervals_cover_the_truth(seeds: int, discordant: float, seed_spread: float) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        shift = rng.normal(0, seed_spread, (seeds, 1))
        draws = rng.uniform(size=(seeds, 2000))
        worse, better = draws < (discordant - shift) / 2, draws > 1 - (discordant + shift) / 2
        estimate = paired_estimate(better.astype(np.int8) - worse.astype(np.int8))
        covered += estimate.low <= 0 <= estimate.high
    assert 0.93 * 400 <= covered <= 0.985 * 400


def test_examples_that_go_wrong_in_every_seed_are_not_averaged_away() -> None:
    rng = np.random.default_rng(0)
    alike = np.repeat(
        rng.choice([-1, 0, 1], (1, 500), p=[0.1, 0.8, 0.1]).astype(np.int8), 8, axis=0
    )
    apart = rng.choice([-1, 0, 1], (8, 500), p=[0.1, 0.8, 0.1]).astype(np.int8)
    one, other = paired_estimate(alike), paired_estimate(apart)
    assert one.high - one.low > 1.8 * (other.high - other.low)
    assert one.high - one.low == pytest.approx(2 * 1.96 * np.sqrt(0.2 / 500), rel=0.1)


def test_no_example_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        paired_estimate(np.empty((1, 0), np.int8))


def test_holm_agrees_with_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == multipletests(p_values, method="holm")[1].tolist()


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_p_value_is_that_of_statsmodels(only_fit: int, only_loop: int) -> None:
    table = PairedTable(50, only_fit, only_loop, 5)
    wanted = mcnemar([[50, only_fit], [only_loop, 5]], exact=True).pvalue
    assert table.mcnemar_p == pytest.approx(1.0 if np.isnan(wanted) else wanted, rel=1e-12)


def test_outperformance_counts_seeds_with_an_exact_interval() -> None:
    found = outperformance(np.array([0.1, 0.2, -0.1, 0.0]))
    assert found.probability == pytest.approx(2.5 / 4)
    assert found.low == pytest.approx(stats.beta.ppf(0.025, 2, 3))
    assert found.high == pytest.approx(stats.beta.ppf(0.975, 4, 1))
    assert outperformance(np.zeros(3)).probability == 0.5


def estimate(low: float, high: float) -> PairedEstimate:
    middle = (low + high) / 2
    inner = low * 0.9 + middle * 0.1, high * 0.9 + middle * 0.1
    spread = ((high - low) / 2 / stats.norm.ppf(0.975)) ** 2
    return PairedEstimate(middle, low, high, *inner, 0.5, MeanDifference(middle, 0.0, spread, 0))


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


def test_few_examples_that_make_the_variance_count_as_few() -> None:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(1, 400))
    rare = np.where(np.arange(400) < 6, 10 * normal, 0.0)  # six of 400 differ at all
    wide, narrow = (paired_estimate(d, bounded=False) for d in (rare, normal))
    spread = [(e.high - e.low) / e.mean.seeds**0.5 for e in (wide, narrow)]
    assert spread[1] == pytest.approx(2 * stats.t.isf(0.025, 399), rel=0.01)
    assert 2 * stats.t.isf(0.025, 8) < spread[0] < 2 * stats.t.isf(0.025, 2)
