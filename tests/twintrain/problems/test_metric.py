"""How a metric is spoken of."""

from __future__ import annotations

from twintrain.problems.metric import ACCURACY
from twintrain.problems.task import Counts, Regression

MINUTES = Regression("minutes").metric


def test_accuracy_is_told_in_percent_and_points() -> None:
    assert ACCURACY.score_text(0.97324) == "97.32%"
    assert ACCURACY.difference_text(-0.5) == "-0.50 points"
    assert ACCURACY.margin_text(0.1) == "±0.1 points"
    assert (ACCURACY.title, ACCURACY.difference_title) == ("accuracy, %", "loop − fit, points")
    assert ACCURACY.better(0.1)


def test_an_error_is_told_in_the_unit_of_its_targets() -> None:
    assert MINUTES.score_text(12.3456) == "12.35 minutes"
    assert MINUTES.difference_text(0.0123) == "+0.0123 minutes"
    assert MINUTES.title == "mean absolute error, minutes"
    assert not MINUTES.better(0.1)
    assert MINUTES.better(-0.1)


def test_without_a_unit_there_is_none() -> None:
    deviance = Counts().metric
    assert deviance.score_text(1.5) == "1.5"
    assert deviance.difference_text(-2.0) == "-2"
    assert deviance.difference_title == "loop − fit"
