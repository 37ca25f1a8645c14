"""The sections of a recipe that train nothing: what a verdict asks for, and whether its gap is
explained.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from twintrain.recipe.sections import Section


class ComparisonRules(Section):
    """What the verdict asks for."""

    margin: float | None = Field(
        None,
        gt=0,
        description="Gaps inside this margin count as equivalent; in percentage points where "
        "accuracy is compared (null: 0.1), in the metric's unit elsewhere.",
    )
    threshold: float | None = Field(
        None,
        description="A twin whose metric is worse than this is never blessed; accuracy is a share "
        "of 1. Null: none.",
    )
    slices: tuple[tuple[str, ...], ...] | None = Field(
        None,
        description="What to look at apart; two keys in one entry are crossed. Null: what the "
        "problem names.",
    )
    overlap_limit: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of test examples that may be training examples too, above what repeats "
        "within the training split; more stops the run. 1: report it, never stop.",
    )
    label_names: tuple[str, ...] = Field(
        (), description="What the report calls labels 0, 1, 2 …; none: the numbers."
    )

    @field_validator("label_names")
    @classmethod
    def _label_names_are_distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("two labels have the same name; their slices could not be told apart")
        return names

    @field_validator("slices")
    @classmethod
    def _slices_are_distinct(
        cls, slices: tuple[tuple[str, ...], ...] | None
    ) -> tuple[tuple[str, ...], ...] | None:
        if slices is None:
            return None
        if any(not keys or len(set(keys)) != len(keys) for keys in slices):
            raise ValueError("a slice names one key, or different keys to be crossed")
        if len({frozenset(keys) for keys in slices}) != len(slices):
            raise ValueError("a slice is named twice")
        return slices


class AttributionRules(Section):
    """Which practice is worth how many points: an experiment of many trainings, made only when
    asked for.
    """

    enabled: bool = False
    budget_minutes: float | None = Field(
        None, gt=0, description="Take the best design that fits; null takes the full."
    )
