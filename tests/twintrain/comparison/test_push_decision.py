from __future__ import annotations

import numpy as np
import pytest

from twintrain.comparison.push_decision import Limits, decide
from twintrain.problems.metric import ACCURACY
from twintrain.problems.task import Regression

RULES = Limits(ACCURACY, margin=1.0, threshold=0.8)


def right(wrong: int) -> np.ndarray:
    answers = np.ones(1000)
    answers[:wrong] = 0
    return answers


@pytest.mark.parametrize(
    ("loop", "fit", "last", "blessed", "reason"),
    [
        (100, 100, None, True, None),
        (100, 90, 95, True, None),
        (201, 200, None, True, "accuracy 79.90%, the floor is 80.00%"),
        (111, 100, None, True, "-1.10 points against the fit twin, -1.00 is allowed"),
        (100, 100, 80, True, "-2.00 points against the last pushed, -1.00 is allowed"),
        (100, 100, None, False, "the Evaluator withheld its blessing"),
    ],
)
def test_every_threshold_decides_and_gives_its_reason(
    loop: int, fit: int, last: int | None, blessed: bool, reason: str | None
) -> None:
    found = decide(RULES, right(loop), right(fit), None if last is None else right(last), blessed)
    assert found.pushed == (reason is None)
    assert found.reasons == ([] if reason is None else [reason])
    assert len(found.checks) == 4


@pytest.mark.parametrize(
    ("loop", "fit", "reason"),
    [
        (9.9, 9.8, None),
        (9.0, 9.8, None),  # far better
        (10.5, 10.4, "mean absolute error 10.5 minutes, the ceiling is 10 minutes"),
        (9.9, 9.6, "+0.3 minutes against the fit twin, +0.2 is allowed"),
    ],
)
def test_of_errors_less_is_better(loop: float, fit: float, reason: str | None) -> None:
    limits = Limits(Regression("minutes").metric, margin=0.2, threshold=10.0)
    found = decide(limits, np.full(50, loop), np.full(50, fit), None, blessed=True)
    assert found.reasons == ([] if reason is None else [reason])


def test_without_a_threshold_none_is_held_against() -> None:
    found = decide(Limits(ACCURACY, 1.0, None), right(900), right(900), None, blessed=True)
    assert found.pushed
    assert [check.name for check in found.checks] == [
        "against the fit twin",
        "against the last pushed",
        "Evaluator",
    ]
