"""comparison.json: every number of a comparison, with its schema (docs/comparison.schema.json)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from twintrain.attribution.result import Explanation
from twintrain.comparison.push_decision import PushDecision
from twintrain.parity.divergence import LockstepResult
from twintrain.parity.run_agreement import SeedAgreement
from twintrain.problems.metric import Metric
from twintrain.showing import html_of
from twintrain.statistics.paired import Verdict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeedScore(_Part):
    """One seed on one slice; the difference is loop minus fit, in the metric's unit."""

    seed: int
    fit_score: float
    loop_score: float
    difference: float


class Table(_Part):
    """On how many examples of a slice which twin of the first seed is right, where the metric
    counts right and wrong.
    """

    both_right: int
    only_fit: int
    only_loop: int
    both_wrong: int


class Slice(_Part):
    """One slice of the test examples, all seeds together."""

    name: str = Field(description="'overall', 'label=3', 'ink=light', 'label=3 ink=light'")
    n: int = Field(description="test examples in the slice")
    fit_score: float = Field(description="mean over seeds; accuracy is a share of 1")
    loop_score: float = Field(description="mean over seeds; accuracy is a share of 1")
    difference: float = Field(description="loop minus fit, in the metric's unit, mean over seeds")
    ci95: tuple[float, float] = Field(description="95 % interval of the difference, same unit")
    p_value: float = Field(description="two-sided, Holm-adjusted over the slices below 'overall'")
    equivalence_p: float = Field(description="two one-sided tests against the margin, not adjusted")
    beyond_p: float = Field(
        1.0,
        description="two-sided test of a difference beyond the margin for the models at hand, not "
        "adjusted",
    )
    table: Table | None = Field(description="null where the metric counts no right and wrong")
    mcnemar_p: float | None = Field(
        description="McNemar's exact test on the first seed, not adjusted; null with `table`"
    )
    verdict: Verdict
    seeds: list[SeedScore]


class TwinSummary(_Part):
    """One twin over all seeds; every list has one entry per seed, in the order of
    `Comparison.seeds`.
    """

    scores: list[float] = Field(description="the metric on the test examples, per seed")
    mean_score: float
    history: list[dict[str, list[float | None]]] = Field(
        description="per seed: figure -> one value per epoch; null where it was NaN or infinite"
    )
    epochs: list[int]
    best_epoch: list[int] = Field(description="counted from 0")
    trained_on: str = Field(
        description="SHA-256 of the training examples: ids, targets and inputs, in order"
    )
    train_seconds: list[float] = Field(description="all epochs, validation and tracing included")
    images_per_second: list[float] = Field(description="over the epochs after the first")
    peak_memory_mb: float = Field(description="of the training process")
    devices: list[str]
    at_once: bool = Field(
        default=False, description="whether any seed was trained while the other twin was, too"
    )
    trials: list[dict[str, Any]] = Field(description="every tuning trial")


class Parity(_Part):
    """Whether the twins are the same, not merely alike."""

    max_abs_difference: float = Field(description="over all weights and seeds; 0 means bit for bit")
    same_batches: bool
    same_history: bool
    seeds: list[SeedAgreement]
    lockstep: LockstepResult | None = Field(
        None,
        description="the first steps of the first seed, side by side; null where not compared",
    )


class EvaluatorMetric(_Part):
    """One metric of the problem over all test examples, as the Evaluator computed it."""

    fit: float
    loop: float


class Counted(_Part):
    """One slice, as the Evaluator counted it."""

    n: int
    fit_score: float
    loop_score: float


class EvaluatorResult(_Part):
    """What the TFX Evaluator said of the first seed's models, run from raw examples."""

    seed: int
    fit_score: float
    loop_score: float
    metrics: dict[str, EvaluatorMetric] = Field({}, description="every metric of the problem")
    slices: dict[str, Counted]
    blessed: bool


class Outperforming(_Part):
    """How probable it is that the loop is the better one with a new seed; null with one seed."""

    probability: float = Field(description="share of seeds, ties count half")
    ci95: tuple[float, float]


class Confusion(_Part):
    """Per twin, [label][choice], all seeds added up."""

    fit: list[list[int]]
    loop: list[list[int]]


class Disagreement(_Part):
    """A test example for which the twins of one seed choose different labels."""

    example_id: str
    seed: int
    label: int
    fit: int
    loop: int
    fit_confidence: float
    loop_confidence: float


class Comparison(_Part):
    """A whole comparison."""

    schema_version: Literal[3] = 3
    created: str = Field(description="ISO 8601, UTC")
    verdict: Verdict
    sentence: str
    metric: Metric = Field(description="what is compared, and in which unit")
    gap: float = Field(
        description="metric(loop) - metric(fit), in the metric's unit, mean over seeds"
    )
    gap_ci95: tuple[float, float]
    margin: float
    seeds: list[int]
    twins: dict[Literal["fit", "loop"], TwinSummary]
    outperforming: Outperforming | None
    slices: list[Slice]
    parity: Parity
    evaluator: EvaluatorResult | None = Field(description="null without the pipeline")
    push: PushDecision | None = Field(description="null where nothing is pushed")
    attribution: Explanation | None = Field(
        description="which practice is worth how many points; null if not asked for"
    )
    confusion: Confusion | None = Field(description="null where no classes are chosen")
    disagreement_count: int = Field(
        description="(seed, test example) for which the twins choose different labels"
    )
    disagreements: list[Disagreement] = Field(description="the surest ones")
    data: dict[str, Any] = Field(
        description="per split, the number of examples and, where targets are classes, of each"
    )
    label_names: list[str] = Field(
        description="of every label, in order; the number where no name was given"
    )
    warnings: list[str] = Field(
        [], description="signs that the trainings learned nothing, or not what they should"
    )
    notes: list[str] = Field(description="what to know before believing the rest")
    recipe_name: str
    recipe_hash: str
    recipe: dict[str, Any]
    deviations: dict[str, Any] = Field(
        description="fields in which the loop was told to differ from fit"
    )
    versions: dict[str, str]
    digest: str = Field(
        "", description="SHA-256 of everything else here; empty where an older version wrote it"
    )

    def _repr_html_(self) -> str | None:
        return html_of(self)


if __name__ == "__main__":
    import json

    print(json.dumps(Comparison.model_json_schema(), indent=2))
