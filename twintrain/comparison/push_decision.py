"""May the trained loop twin replace the one that was pushed last? The thresholds of the recipe
decide, each in words.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from twintrain.recipe.sections import ComparisonRules


class Check(BaseModel):
    """One condition; figures are shares of 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    value: float | None = Field(
        description="what was measured; null where there was nothing to measure"
    )
    limit: float
    passed: bool
    text: str = Field(description="the finding as a sentence")


class PushDecision(BaseModel):
    """Whether the loop twin of the first seed is pushed, and why or why not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pushed: bool
    checks: list[Check]

    @property
    def reasons(self) -> list[str]:
        """Why it is not pushed; empty when it is."""
        return [check.text for check in self.checks if not check.passed]


def decide(
    rules: ComparisonRules,
    loop: npt.NDArray[np.bool_],
    fit: npt.NDArray[np.bool_],
    last: npt.NDArray[np.bool_] | None,
    blessed: bool,
    standing: str | None = None,
) -> PushDecision:
    """Hold the candidate against the recipe's thresholds.

    Args:
        rules: accuracy floor and margin.
        loop: the candidate, right or wrong per test example, [examples].
        fit: the fit twin on the same examples.
        last: the twin pushed last on the same examples; None when none was.
        blessed: whether the Evaluator gave its blessing.
        standing: the version under which the candidate itself was pushed last, if it was.
    """
    accuracy, margin = float(loop.mean()), rules.margin_points / 100
    floor = Check(
        name="accuracy floor",
        value=accuracy,
        limit=rules.accuracy_floor,
        passed=accuracy >= rules.accuracy_floor,
        text=f"accuracy {accuracy:.2%}, the floor is {rules.accuracy_floor:.2%}",
    )
    checks = [floor, _not_worse("the fit twin", loop, fit, margin)]
    if last is None or standing is not None:
        text = (
            "nothing has been pushed before"
            if standing is None
            else f"it is this very twin, version {standing}"
        )
        checks.append(
            Check(name="against the last pushed", value=None, limit=-margin, passed=True, text=text)
        )
    else:
        checks.append(_not_worse("the last pushed", loop, last, margin))
    checks.append(
        Check(
            name="Evaluator",
            value=None,
            limit=0.0,
            passed=blessed,
            text="the Evaluator gave its blessing"
            if blessed
            else "the Evaluator withheld its blessing",
        )
    )
    return PushDecision(pushed=all(check.passed for check in checks), checks=checks)


def _not_worse(
    other: str, candidate: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_], margin: float
) -> Check:
    difference = float(candidate.mean() - reference.mean())
    return Check(
        name=f"against {other}",
        value=difference,
        limit=-margin,
        passed=difference
        >= -margin - 1e-9,  # exactly the margin is within it, whatever the floats say
        text=f"{100 * difference:+.2f} points against {other}, {-100 * margin:+.2f} is allowed",
    )


def last_pushed(destination: Path) -> Path | None:
    """The model pushed last: the Pusher names folders by the time of the push."""
    versions = [
        path
        for path in destination.glob("*")
        if path.name.isdigit() and (path / "saved_model.pb").exists()
    ]
    return max(versions, key=lambda path: int(path.name), default=None)
