from __future__ import annotations

import numpy as np
import pytest

from twintrain.comparison.push_decision import decide
from twintrain.recipe.sections import ComparisonRules

RULES = ComparisonRules(threshold=0.8, margin=1.0)


def right(wrong: int) -> np.ndarray:
    answers = np.ones(1000, bool)
    answers[:wrong] = False
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
