"""What two twins are compared by, and how to speak of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Metric(BaseModel):
    """A metric, and how to speak of it. How it comes of answers is for `measures` to say.

    Scores are in the metric's own measure (accuracy: shares of 1); differences and margins are
    told in `unit` (accuracy: percentage points), of which a score of 1 has `scale`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=80, description="'accuracy'")
    unit: str = Field("", max_length=40, description="of differences and margins: 'points'")
    score_unit: str = Field("", max_length=40, description="of scores as they are shown: '%'")
    scale: float = Field(1.0, gt=0, description="units that a score of 1 has")
    logged: str = Field(
        min_length=1,
        max_length=80,
        description="the figure in training logs that it is, or is closest to",
    )
    higher_is_better: bool
    counts: bool = Field(description="whether each example adds 0 or 1, wrong or right")

    def score(self, value: float) -> str:
        """A score's number, without its unit: '97.32', '12.31'."""
        return f"{self.scale * value:.2f}" if self.counts else f"{self.scale * value:.4g}"

    def score_text(self, value: float) -> str:
        """A score with its unit: '97.32%', '12.31 minutes'."""
        gap = "" if self.score_unit in ("", "%") else " "
        return f"{self.score(value)}{gap}{self.score_unit}"

    def difference(self, value: float) -> str:
        """A difference's number, with its sign: '+0.12'."""
        return f"{value:+.2f}" if self.counts else f"{value:+.3g}"

    def difference_text(self, value: float) -> str:
        """A difference with its unit: '+0.12 points'."""
        return f"{self.difference(value)} {self.unit}".rstrip()

    def margin_text(self, value: float) -> str:
        """A margin with its unit: '±0.1 points'."""
        return f"±{value:g} {self.unit}".rstrip()

    @property
    def title(self) -> str:
        """For the head of a column or the side of a chart: 'accuracy, %'."""
        return f"{self.name}, {self.score_unit}" if self.score_unit else self.name

    @property
    def difference_title(self) -> str:
        """The same of a difference: 'loop − fit, points'."""
        return f"loop − fit, {self.unit}" if self.unit else "loop − fit"

    def better(self, difference: float) -> bool:
        """Whether a difference, loop minus fit, speaks for the loop."""
        return difference > 0 if self.higher_is_better else difference < 0


ACCURACY = Metric(
    name="accuracy",
    unit="points",
    score_unit="%",
    scale=100.0,
    logged="accuracy",
    higher_is_better=True,
    counts=True,
)
