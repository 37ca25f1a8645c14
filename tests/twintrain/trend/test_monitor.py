from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twintrain.trend.records import record
from twintrain.trend.monitor import confidence_sequence, judge, label_distance, look_at, spent


def alerts_of(records: list) -> dict[int, list[str]]:
    (trend,) = judge(records)
    return {
        look.record.span: [alert.kind for alert in look.alerts]
        for look in trend.looks
        if look.alerts
    }


def test_quiet_spans_raise_nothing() -> None:
    rng = np.random.default_rng(0)
    spans = [
        record(span, fit=0.95 + rng.normal(0, 0.004), loop=0.95 + rng.normal(0, 0.002))
        for span in range(12)
    ]
    assert alerts_of(spans) == {}


def test_a_bad_loop_is_flagged_and_only_there() -> None:
    spans = [record(span, loop=0.80 if span == 6 else 0.95) for span in range(9)]
    found = alerts_of(spans)
    assert set(found) == {6}
    assert found[6][0] == "gap"
    assert {"slice gap", "slice accuracy"} <= set(found[6])


def test_one_slice_alone_is_found() -> None:
    good = {f"label={label}": (0.95, 0.95) for label in range(4)}
    spans = [record(span, slices=good) for span in range(5)]
    spans.append(record(5, slices=good | {"label=2": (0.95, 0.70)}))
    (trend,) = judge(spans)
    assert {(alert.kind, alert.where) for alert in trend.alerts} == {
        ("slice gap", "label=2"),
        ("slice accuracy", "label=2"),
    }


def test_both_twins_falling_together_is_seen_too() -> None:
    good = {f"label={label}": (0.95, 0.95) for label in range(4)}
    spans = [record(span, slices=good) for span in range(5)]
    spans.append(record(5, slices=good | {"label=1": (0.70, 0.70)}))
    (trend,) = judge(spans)
    assert [alert.kind for alert in trend.alerts] == ["slice accuracy", "slice accuracy"]
    assert "fit twin fell by 25.0 points" in trend.alerts[0].text


def test_one_drifted_span_is_told_once() -> None:
    odd = {"0": 0.10, "1": 0.30, "2": 0.30, "3": 0.30}
    assert alerts_of([record(span, shares=odd if span == 3 else None) for span in range(7)]) == {
        3: ["drift"]
    }


def test_a_span_is_held_against_those_before_it() -> None:
    odd = {"0": 0.10, "1": 0.30, "2": 0.30, "3": 0.30}
    spans = [record(span, shares=odd if span == 3 else None) for span in range(7)]
    look = look_at(spans[3], [*reversed(spans), record(2, recipe="another", shares=odd)])
    assert look.reference == 2
    assert [(alert.kind, alert.where) for alert in look.alerts] == [("drift", "0")]
    assert look_at(spans[0], spans).reference is None


def test_a_change_that_lasts_is_told_once_and_so_is_the_way_back() -> None:
    odd = {"0": 0.10, "1": 0.30, "2": 0.30, "3": 0.30}
    shares = [None, None, odd, odd, odd, None, None]
    assert alerts_of([record(span, shares=given) for span, given in enumerate(shares)]) == {
        2: ["drift"],
        5: ["drift"],
    }


def test_a_label_that_vanishes_is_a_distance() -> None:
    assert (
        label_distance(record(0, shares={"0": 1.0}), record(1, shares={"0": 0.5, "1": 0.5}))[1]
        == 0.5
    )


def test_the_newest_record_of_a_span_counts() -> None:
    old = record(2, loop=0.5).model_copy(update={"created": "2025-01-01T00:00:00+00:00"})
    new = record(2, digest="b")
    (trend,) = judge([record(1), new, old])
    assert [look.record.recipe_hash[0] for look in trend.looks] == ["a", "b"]
    assert [look.recipe_changed for look in trend.looks] == [False, True]
    assert trend.alerts == []


def test_recipes_are_judged_apart() -> None:
    names = [
        trend.recipe_name for trend in judge([record(1), record(1, recipe="bare", digest="b")])
    ]
    assert names == ["bare", "standard"]


def test_all_looks_together_spend_alpha() -> None:
    total = sum(spent(look, 0.05) for look in range(1, 200_001))
    assert total == pytest.approx(0.05, rel=1e-4)
    assert total < 0.05


def test_identical_twins_have_no_doubt() -> None:
    assert confidence_sequence(np.zeros(5), np.zeros(5), 1.0).tolist() == [[0.0, 0.0]] * 5


def test_the_sequence_is_howards_equation() -> None:
    """With rho from `lambertw`, no other rho makes the bound at the intended variance narrower."""
    values, variances = np.zeros(10), np.ones(10)
    at_ten = confidence_sequence(values, variances, 10.0)[-1, 1] * 10

    def reach(rho: float, variance: float = 10.0) -> float:
        return math.sqrt((variance + rho) * math.log((variance + rho) / (rho * 0.05**2)))

    assert at_ten == pytest.approx(
        min(reach(rho) for rho in np.geomspace(0.1, 100, 4001)), rel=1e-6
    )


def test_looking_after_every_span_errs_as_seldom_as_it_says() -> None:
    """400 sequences of 60 spans: the true mean may leave the band at any time in at most 5 % of
    them.
    """
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(400):
        variances = rng.uniform(0.5, 2.0, 60)
        bounds = confidence_sequence(0.3 + rng.normal(0, np.sqrt(variances)), variances, 10.0)
        missed += bool(((bounds[:, 0] > 0.3) | (bounds[:, 1] < 0.3)).any())
    assert missed <= 400 * 0.05 + 2 * math.sqrt(400 * 0.05 * 0.95)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 4)), min_size=1, max_size=30))
def test_the_band_holds_the_mean_so_far(pairs: list[tuple[float, float]]) -> None:
    values, variances = (np.array(column) for column in zip(*pairs, strict=True))
    bounds = confidence_sequence(values, variances, 5.0)
    means = np.cumsum(values) / np.arange(1, len(values) + 1)
    assert np.isfinite(bounds).all()
    assert (bounds[:, 0] <= means + 1e-9).all()
    assert (means <= bounds[:, 1] + 1e-9).all()


def test_alerts_say_what_where_and_how_much() -> None:
    (trend,) = judge([record(0), record(1, loop=0.80)])
    first = trend.alerts[0]
    assert (first.kind, first.where, round(first.size, 9)) == ("gap", "overall", -15.0)
    assert first.text == "overall: the loop is 15.00 points below fit, beyond the margin of 0.5"
