from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from twintrain.trend.accuracy_drops import Course, drop_p_values


def courses(accuracies: np.ndarray, size: int = 1000) -> list[Course]:
    """Of [spans, slices]."""
    return [
        Course(column, np.full(len(column), float(size)))
        for column in np.asarray(accuracies, np.float64).T
    ]


def drawn(
    rng: np.random.Generator, spans: int, slices: int, between: float, size: int = 1000
) -> np.ndarray:
    """Accuracies around 95 %, with a scatter between spans beyond the binomial one."""
    return rng.binomial(size, np.clip(0.95 + rng.normal(0, between, (spans, slices)), 0, 1)) / size


@pytest.mark.parametrize("between", [0.0, 0.015, 0.03])
@pytest.mark.parametrize("spans", [2, 3, 8])
def test_stable_accuracies_seldom_count_as_a_drop(between: float, spans: int) -> None:
    """At 1 % of each test, 400 spans of ten slices each, whatever the scatter; tails as far as 1 in
    4,000 can show.
    """
    rng = np.random.default_rng(spans)
    p = np.array([drop_p_values(courses(drawn(rng, spans, 10, between)), 0.0) for _ in range(400)])
    assert (p < 0.01).sum() <= stats.binom.isf(1e-3, p.size, 0.01)


@pytest.mark.parametrize("spans", [2, 3, 8])
def test_a_deep_drop_of_one_slice_is_found(spans: int) -> None:
    rng = np.random.default_rng(0)
    found = drawn(rng, spans, 10, 0.005)
    found[-1, 3] -= 0.15
    p = drop_p_values(courses(found), 0.02)
    assert p[3] < 1e-4
    assert np.delete(p, 3).min() > 0.05


def test_a_small_slice_hides_nothing_of_the_large_ones() -> None:
    rng = np.random.default_rng(0)
    large = courses(drawn(rng, 5, 9, 0.005))
    dropped = large[3].accuracies.copy()
    dropped[-1] -= 0.15
    small = courses(drawn(rng, 5, 2, 0.005, size=20), size=20)
    p = drop_p_values([*large[:3], Course(dropped, large[3].sizes), *large[4:], *small], 0.02)
    assert p[3] < 1e-4
    assert np.delete(p[:9], 3).min() > 0.05


def test_a_span_in_which_everything_drops_is_found() -> None:
    found = drawn(np.random.default_rng(0), 2, 10, 0.005)
    found[-1] -= 0.4
    assert drop_p_values(courses(found), 0.02).max() < 1e-4


def test_scatter_is_not_taken_for_a_drop() -> None:
    """The same drop of one slice, where all slices have moved as much from span to span."""
    quiet = np.full((6, 5), 0.95)
    wild = quiet + np.resize([0.04, -0.04], (6, 5))
    quiet[-1, 2] -= 0.08
    wild[-1] = 0.95
    wild[-1, 2] -= 0.08
    assert drop_p_values(courses(quiet), 0.02)[2] < 0.001
    assert drop_p_values(courses(wild), 0.02)[2] > 0.01


def test_a_slice_that_scatters_more_than_the_others_keeps_its_own_scatter() -> None:
    found = np.full((6, 10), 0.95)
    found[:, 0] += np.array([0.05, -0.05, 0.05, -0.05, 0.05, -0.05])
    found[-1, 1] -= 0.05
    p = drop_p_values(courses(found), 0.0)
    assert p[0] > 0.1
    assert p[1] < 0.05


def test_too_few_slices_and_spans_say_nothing() -> None:
    assert drop_p_values([], 0.02).tolist() == []
    assert drop_p_values(courses([[0.9], [0.1]]), 0.02).tolist() == [1.0]
    assert drop_p_values(courses([[0.9, 0.9], [0.1, 0.9]]), 0.02).tolist() == [1.0, 1.0]
    assert drop_p_values(courses([[0.9], [0.9], [0.9], [0.1]]), 0.02)[0] < 0.01


@given(
    st.lists(st.lists(st.integers(0, 50), min_size=2, max_size=6), min_size=1, max_size=5),
    st.floats(0, 0.1),
)
def test_any_course_has_a_p_value(right: list[list[int]], allowed: float) -> None:
    given = [Course(np.array(one) / 50, np.full(len(one), 50.0)) for one in right]
    p = drop_p_values(given, allowed)
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()
    deeper = drop_p_values(given, allowed + 0.05)
    assert (deeper >= p - 1e-12).all()
