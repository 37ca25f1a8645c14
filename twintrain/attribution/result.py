"""What the experiment found: shares of the gap that add up to it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from twintrain.problems.metric import Metric
from twintrain.showing import html_of

Interval = tuple[float, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Share(_Part):
    """One practice; all figures in the unit of the metric."""

    practice: str
    worth: float = Field(description="Shapley share of the gap; the shares add up to it")
    ci95: Interval
    p_value: float = Field(description="of no effect, two-sided, Holm-adjusted over the practices")
    named: bool = Field(description="told from chance: the adjusted p-value is below 0.05")
    changes: dict[str, tuple[Any, Any]] = Field(
        description="field -> value in the first and in the second recipe"
    )
    idle: str = Field(
        "", description="why it was not varied; its share is then zero. Empty: it was"
    )


class Interaction(_Part):
    """How much more two practices do together than each alone, in the unit of the metric, averaged
    over the others.
    """

    practices: tuple[str, str]
    worth: float
    ci95: Interval
    p_value: float = Field(description="Holm-adjusted over the pairs")


class Combination(_Part):
    """One trained combination."""

    switched: list[str] = Field(description="practices taken from the second recipe")
    scores: list[float] = Field(description="the metric, per seed; accuracy is a share of 1")


class Restored(_Part):
    """The second recipe with the named practices as in the first: what is left of the gap."""

    practices: list[str]
    gap: float
    ci95: Interval


class Explanation(_Part):
    """Which practice is worth how much between two recipes."""

    schema_version: Literal[2] = 2
    metric: Metric = Field(description="what is explained, and in which unit")
    sentence: str
    start: str = Field(
        description="name of the first recipe; its fit twin is where the gap is counted from"
    )
    end: str = Field(description="name of the second recipe, as its loop twin obeys it")
    gap: float = Field(
        description="metric(end) - metric(start), in the metric's unit, mean over seeds"
    )
    gap_ci95: Interval
    start_scores: list[float] = Field(description="per seed; accuracy is a share of 1")
    end_scores: list[float] = Field(description="per seed; accuracy is a share of 1")
    shares: list[Share]
    interactions: list[Interaction] = Field(
        description="empty where the design takes practices to add up"
    )
    restored: Restored | None
    design: Literal["full", "pairs", "mains"]
    combinations: list[Combination]
    seeds: list[int]
    test_examples: int
    trainings: int = Field(
        description="combinations times seeds; those taken over from earlier ones included"
    )
    reused: int = Field(description="of these, taken over")
    seconds: float = Field(description="wall time of this call")
    training_seconds: float = Field(description="all trainings together, whenever they were done")
    framework: float = Field(
        description="largest difference between the weights of the fit and the loop twin of the "
        "first recipe after a "
        "short training, as a share of the largest weight; 0 is bit for bit"
    )
    notes: list[str]

    def _repr_html_(self) -> str | None:
        return html_of(self)
