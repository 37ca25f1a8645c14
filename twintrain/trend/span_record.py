"""One retraining's comparison, small enough to keep for ever: what the trend is drawn and judged
from.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from twintrain.comparison.comparison import Comparison
from twintrain.problems.metric import ACCURACY, Metric
from twintrain.statistics.paired import Verdict

# Records are read for years: what cannot be drawn or added up must not get into one.
_Share = Annotated[float, Field(ge=0, le=1)]
_Score = Annotated[float, Field(ge=-1e12, le=1e12)]
_Gap = Annotated[float, Field(ge=-1e12, le=1e12)]  # with two seeds an interval is wide
# What version 1, which knew accuracy only, called the fields.
_IN_VERSION_1 = {
    "fit_accuracy": "fit_score",
    "loop_accuracy": "loop_score",
    "gap_points": "gap",
    "ci95_points": "ci95",
    "margin_points": "margin",
}
_MOST_EXAMPLES = 10**12


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SliceRecord(_Part):
    """One slice of one span; 'overall' is the first of its record."""

    name: str
    n: int = Field(ge=0, le=_MOST_EXAMPLES, description="test examples")
    fit_score: _Score
    loop_score: _Score
    gap: _Gap = Field(description="loop minus fit, in the metric's unit")
    ci95: tuple[_Gap, _Gap]
    beyond_p: _Share = Field(
        description="two-sided test of a gap beyond the margin, for the models at hand"
    )
    verdict: Verdict


class SpanRecord(_Part):
    """What one pipeline run over one span found."""

    schema_version: Literal[2] = 2
    metric: Metric = Field(description="what is compared, and in which unit")
    span: int = Field(ge=0, lt=10**9)
    recipe_name: str
    recipe_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: str = Field(description="when the comparison was made, ISO 8601, UTC")
    trained_on: str = Field(description="SHA-256 of the training examples")
    seeds: list[int]
    margin: float = Field(gt=0, le=1e12)
    verdict: Verdict
    sentence: str
    pushed: bool
    slices: list[SliceRecord] = Field(min_length=1)
    label_shares: dict[str, _Share] = Field(
        description="share of each label among the training examples; empty where targets are no "
        "classes"
    )
    drift_threshold: float | None = Field(
        gt=0, le=1, description="largest change of a label's share that is no drift; null: none is"
    )
    report: str = Field("", description="where the whole report is")
    digest: str = Field(
        "", description="SHA-256 of everything else here; empty where an older version wrote it"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, record: Any) -> Any:
        if not isinstance(record, dict) or record.get("schema_version") != 1:
            return record
        slices = record.get("slices")
        renamed = {_IN_VERSION_1.get(key, key): value for key, value in record.items()}
        if isinstance(slices, list):
            renamed["slices"] = [
                {_IN_VERSION_1.get(key, key): value for key, value in part.items()}
                if isinstance(part, dict)
                else part
                for part in slices
            ]
        return renamed | {"schema_version": 2, "metric": ACCURACY}

    @model_validator(mode="after")
    def _accuracies_are_shares(self) -> SpanRecord:
        scores = (score for part in self.slices for score in (part.fit_score, part.loop_score))
        if self.metric.counts and not all(0 <= score <= 1 for score in scores):
            raise ValueError(f"{self.metric.name} is a share, from 0 to 1")
        return self

    @property
    def overall(self) -> SliceRecord:
        """All test examples together."""
        return self.slices[0]


def record_from(
    comparison: Comparison, span: int, drift_threshold: float | None, report: str = ""
) -> SpanRecord:
    """The record of a finished comparison.

    Args:
        comparison: the whole of it.
        span: the span it was made on; 0 for data without spans.
        drift_threshold: from the curated schema's drift comparator of the label; None where it has
            none.
        report: where its report is.
    """
    labels = comparison.data["train"].get("labels", {})
    total = sum(labels.values())
    return SpanRecord(
        span=span,
        recipe_name=comparison.recipe_name,
        recipe_hash=comparison.recipe_hash,
        created=comparison.created,
        trained_on=comparison.twins["fit"].trained_on,
        seeds=comparison.seeds,
        metric=comparison.metric,
        margin=comparison.margin,
        verdict=comparison.verdict,
        sentence=comparison.sentence,
        pushed=comparison.push is not None and comparison.push.pushed,
        slices=[
            SliceRecord(
                name=part.name,
                n=part.n,
                fit_score=part.fit_score,
                loop_score=part.loop_score,
                gap=part.difference,
                ci95=part.ci95,
                beyond_p=part.beyond_p,
                verdict=part.verdict,
            )
            for part in comparison.slices
        ],
        label_shares={label: count / total for label, count in labels.items()},
        drift_threshold=drift_threshold,
        report=report,
    )
