"""May the trained loop twin replace the one that was pushed last? The thresholds of the recipe
decide, each in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from twintrain.problems.metric import Metric


class Check(BaseModel):
    """One condition; figures are in the measure of the metric, accuracy in shares of 1."""

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


@dataclass(frozen=True)
class Limits:
    """What a candidate is held against.

    Attributes:
        metric: what is measured.
        margin: by how much it may be worse than another, in the metric's unit.
        threshold: a score it must reach; None for none.
    """

    metric: Metric
    margin: float
    threshold: float | None


def decide(
    limits: Limits,
    loop: npt.NDArray[np.float64],
    fit: npt.NDArray[np.float64],
    last: npt.NDArray[np.float64] | None,
    blessed: bool,
    standing: str | None = None,
    nothing: str = "nothing has been pushed before",
) -> PushDecision:
    """Hold the candidate against the recipe's thresholds.

    Args:
        limits: metric, margin and threshold.
        loop: what each test example adds to the candidate's metric, [examples].
        fit: that of the fit twin on the same examples.
        last: that of the twin pushed last on the same examples; None when none was.
        blessed: whether the Evaluator gave its blessing.
        standing: the version under which the candidate itself was pushed last, if it was.
        nothing: why there is none to hold against, where there is none.
    """
    margin = limits.margin / limits.metric.scale
    checks = (
        [] if limits.threshold is None else [_good_enough(limits.metric, limits.threshold, loop)]
    )
    checks.append(_not_worse("the fit twin", loop, fit, limits))
    if last is None or standing is not None:
        text = nothing if standing is None else f"it is this very twin, version {standing}"
        checks.append(
            Check(
                name="against the last pushed",
                value=None,
                limit=-margin if limits.metric.higher_is_better else margin,
                passed=True,
                text=text,
            )
        )
    else:
        checks.append(_not_worse("the last pushed", loop, last, limits))
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


def _good_enough(metric: Metric, threshold: float, loop: npt.NDArray[np.float64]) -> Check:
    score = float(loop.mean())
    word = "floor" if metric.higher_is_better else "ceiling"
    return Check(
        name=f"{metric.name} {word}",
        value=score,
        limit=threshold,
        passed=score >= threshold if metric.higher_is_better else score <= threshold,
        text=f"{metric.name} {metric.score_text(score)}, the {word} is "
        f"{metric.score_text(threshold)}",
    )


def _not_worse(
    other: str,
    candidate: npt.NDArray[np.float64],
    reference: npt.NDArray[np.float64],
    limits: Limits,
) -> Check:
    metric = limits.metric
    worst = -limits.margin if metric.higher_is_better else limits.margin
    difference = metric.scale * float(candidate.mean() - reference.mean())
    # Exactly the margin is within it, whatever the floats say.
    short = worst - difference if metric.higher_is_better else difference - worst
    return Check(
        name=f"against {other}",
        value=difference / metric.scale,
        limit=worst / metric.scale,
        passed=short <= metric.scale * 1e-9,
        text=f"{metric.difference_text(difference)} against {other}, {metric.difference(worst)} is "
        "allowed",
    )


def pushed_versions(destination: Path) -> list[Path]:
    """The models pushed so far, the last one first: the Pusher names folders by the time of the
    push.
    """
    versions = [
        path
        for path in destination.glob("*")
        if path.name.isdigit() and (path / "saved_model.pb").exists()
    ]
    return sorted(versions, key=lambda path: int(path.name), reverse=True)


def last_pushed(destination: Path) -> Path | None:
    """The model pushed last."""
    return next(iter(pushed_versions(destination)), None)
