"""The trend of a metric that counts no right and wrong."""

from __future__ import annotations

from tests.twintrain.trend.records import record
from twintrain.problems.task import Regression
from twintrain.trend.monitor import judge
from twintrain.trend.page import render_trend
from twintrain.trend.span_record import SpanRecord

MINUTES = Regression("minutes").metric


def of_minutes(span: int, gap: float, beyond: float) -> SpanRecord:
    made = record(span)
    whole = made.overall.model_copy(
        update={
            "fit_score": 12.0,
            "loop_score": 12.0 + gap,
            "gap": gap,
            "ci95": (gap - 0.2, gap + 0.2),
            "beyond_p": beyond,
        }
    )
    changed = {"metric": MINUTES, "slices": [whole], "label_shares": {}, "drift_threshold": None}
    return made.model_copy(update=changed)


def test_a_gap_is_told_in_the_unit_of_the_metric() -> None:
    (trend,) = judge([of_minutes(1, 0.1, 1.0), of_minutes(2, 3.0, 1e-9)])
    (alert,) = trend.alerts
    assert alert.text.startswith("overall: the loop is 3 minutes of mean absolute error above fit")
    assert trend.looks[0].drift_points is None
    page = render_trend([trend])
    assert "mean absolute error, minutes" in page
    assert "accuracy" not in page


def test_gaps_of_different_metrics_are_no_trend_together() -> None:
    trends = judge([record(1), of_minutes(2, 0.1, 1.0)])
    assert [len(trend.looks) for trend in trends] == [1, 1]
