"""One retraining's comparison, small enough to keep for ever: what the trend is drawn and judged
from.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from twintrain.comparison.comparison import Comparison
from twintrain.statistics.paired import Verdict

# Records are read for years: what cannot be drawn or added up must not get into one.
_Share = Annotated[float, Field(ge=0, le=1)]
_Points = Annotated[float, Field(ge=-1e6, le=1e6)]  # with two seeds an interval is wide
_MOST_EXAMPLES = 10**12


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SliceRecord(_Part):
    """One slice of one span; 'overall' is the first of its record."""

    name: str
    n: int = Field(ge=0, le=_MOST_EXAMPLES, description="test examples")
    fit_accuracy: _Share
    loop_accuracy: _Share
    gap_points: _Points = Field(description="loop minus fit, percentage points")
    ci95_points: tuple[_Points, _Points]
    beyond_p: _Share = Field(
        description="two-sided test of a gap beyond the margin, for the models at hand"
    )
    verdict: Verdict


class SpanRecord(_Part):
    """What one pipeline run over one span found."""

    schema_version: Literal[1] = 1
    span: int = Field(ge=0, lt=10**9)
    recipe_name: str
    recipe_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: str = Field(description="when the comparison was made, ISO 8601, UTC")
    trained_on: str = Field(description="SHA-256 of the training examples")
    seeds: list[int]
    margin_points: float = Field(gt=0, le=100)
    verdict: Verdict
    sentence: str
    pushed: bool
    slices: list[SliceRecord] = Field(min_length=1)
    label_shares: dict[str, _Share] = Field(
        description="share of each label among the training examples"
    )
    drift_threshold: float = Field(
        gt=0, le=1, description="largest change of a label's share that is no drift"
    )
    report: str = Field("", description="where the whole report is")

    @property
    def overall(self) -> SliceRecord:
        """All test examples together."""
        return self.slices[0]


def record_from(
    comparison: Comparison, span: int, drift_threshold: float, report: str = ""
) -> SpanRecord:
    """The record of a finished comparison.

    Args:
        comparison: the whole of it.
        span: the span it was made on; 0 for data without spans.
        drift_threshold: from the curated schema's drift comparator of the label.
        report: where its report is.
    """
    labels = comparison.data["train"]["labels"]
    total = sum(labels.values())
    return SpanRecord(
        span=span,
        recipe_name=comparison.recipe_name,
        recipe_hash=comparison.recipe_hash,
        created=comparison.created,
        trained_on=comparison.twins["fit"].trained_on,
        seeds=comparison.seeds,
        margin_points=comparison.margin_points,
        verdict=comparison.verdict,
        sentence=comparison.sentence,
        pushed=comparison.push is not None and comparison.push.pushed,
        slices=[
            SliceRecord(
                name=part.name,
                n=part.n,
                fit_accuracy=part.fit_accuracy,
                loop_accuracy=part.loop_accuracy,
                gap_points=part.difference_points,
                ci95_points=part.ci95_points,
                beyond_p=part.beyond_p,
                verdict=part.verdict,
            )
            for part in comparison.slices
        ],
        label_shares={label: count / total for label, count in labels.items()},
        drift_threshold=drift_threshold,
        report=report,
    )
