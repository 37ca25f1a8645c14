"""From the records of the two trainings to a `Comparison`."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twintrain.attribution.result import Explanation
from twintrain.comparison.comparison import (
    Comparison,
    EvaluatorResult,
    Outperforming,
    Parity,
    Slice,
    Table,
    TwinSummary,
)
from twintrain.comparison.mistakes import confusion, disagreements
from twintrain.comparison.predictions import load_predictions
from twintrain.comparison.push_decision import PushDecision
from twintrain.comparison.sentence import sentence
from twintrain.comparison.slices import (
    OVERALL,
    check_against_evaluator,
    compare_slices,
    remarks,
    value_name,
)
from twintrain.parity.divergence import LockstepResult
from twintrain.parity.run_agreement import SeedAgreement
from twintrain.recipe.recipe import Recipe
from twintrain.statistics.paired import PairedTable, outperformance

_PACKAGES = ("tensorflow", "keras", "keras-tuner", "numpy", "tfx", "apache-beam")


@dataclass(frozen=True)
class Inputs:
    """What a comparison is made of.

    Attributes:
        recipe: the comparison's recipe.
        fit, loop: folders of records as `twintrain.training.seeds` writes them.
        trials: per twin, its tuning trials.
        agreement: per seed.
        lockstep: the first steps, side by side.
        ink: ink bucket of each test example, int64 [n], in canonical order.
        classes: number of labels.
        evaluator: slice name -> what the Evaluator counted for the first seed.
        blessed: the Evaluator's blessing.
        push: what came of the thresholds.
        attribution: the experiment's result; None when it was not asked for.
        data: examples per split and label.
    """

    recipe: Recipe
    fit: Path
    loop: Path
    trials: dict[str, list[dict[str, Any]]]
    agreement: list[SeedAgreement]
    lockstep: LockstepResult
    ink: npt.NDArray[np.int64]
    classes: int
    evaluator: dict[str, PairedTable]
    blessed: bool
    push: PushDecision
    data: dict[str, Any]
    attribution: Explanation | None = None


def build_comparison(inputs: Inputs) -> Comparison:
    """Compare the twins slice by slice.

    Raises:
        TwintrainError: the records do not belong together, a twin predicts NaN, or the Evaluator's
            figures contradict the recorded predictions.
    """
    recipe = inputs.recipe
    predictions = load_predictions(recipe, inputs.fit, inputs.loop)
    agreement = sorted(inputs.agreement, key=lambda seed: recipe.seeds.index(seed.seed))
    identical = all(seed.max_abs_difference == 0 and seed.same_batches for seed in agreement)
    identical = identical and not predictions.differences.any()
    slices = compare_slices(recipe, predictions, inputs.ink, identical)
    twins = {
        "fit": _summary(inputs.fit, recipe, predictions.correct["fit"], inputs.trials["fit"]),
        "loop": _summary(inputs.loop, recipe, predictions.correct["loop"], inputs.trials["loop"]),
    }
    devices = {name: twin.devices for name, twin in twins.items()}
    check_against_evaluator(recipe, predictions, inputs.ink, slices, inputs.evaluator, devices)
    overall = slices[0]
    parity = Parity(
        max_abs_difference=max(seed.max_abs_difference for seed in agreement),
        same_batches=all(seed.same_batches for seed in agreement),
        same_history=all(seed.same_history for seed in agreement),
        seeds=agreement,
        lockstep=inputs.lockstep,
    )
    count, apart = disagreements(recipe, predictions)
    return Comparison(
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        verdict=overall.verdict,
        sentence=sentence(overall, recipe, parity),
        gap_points=overall.difference_points,
        gap_ci95_points=overall.ci95_points,
        margin_points=recipe.comparison.margin_points,
        seeds=list(recipe.seeds),
        twins=twins,
        outperforming=_outperforming(overall),
        slices=slices,
        parity=parity,
        evaluator=_evaluator(inputs),
        push=inputs.push,
        attribution=inputs.attribution,
        confusion=confusion(predictions, inputs.classes),
        disagreement_count=count,
        disagreements=apart,
        data=inputs.data,
        label_names=[
            value_name("label", label, recipe.comparison.label_names)
            for label in range(inputs.classes)
        ],
        notes=list(remarks(recipe, slices, inputs.data)),
        recipe_name=recipe.name,
        recipe_hash=recipe.hash,
        recipe=recipe.model_dump(mode="json"),
        deviations=dict(recipe.loop),
        versions=_versions(),
    )


def _evaluator(inputs: Inputs) -> EvaluatorResult:
    whole = inputs.evaluator[OVERALL]
    return EvaluatorResult(
        seed=inputs.recipe.seeds[0],
        fit_accuracy=(whole.both_right + whole.only_fit) / whole.n,
        loop_accuracy=(whole.both_right + whole.only_loop) / whole.n,
        slices={name: Table(**vars(table)) for name, table in inputs.evaluator.items()},
        blessed=inputs.blessed,
    )


def _outperforming(overall: Slice) -> Outperforming | None:
    if len(overall.seeds) < 2:
        return None
    found = outperformance(np.array([seed.difference_points for seed in overall.seeds]))
    return Outperforming(probability=found.probability, ci95=(found.low, found.high))


def _summary(
    folder: Path, recipe: Recipe, correct: npt.NDArray[np.bool_], trials: list[dict[str, Any]]
) -> TwinSummary:
    records = [
        json.loads((folder / f"seed-{seed}" / "record.json").read_text(encoding="utf-8"))
        for seed in recipe.seeds
    ]
    accuracy = correct.mean(axis=1)
    return TwinSummary(
        accuracy=[float(value) for value in accuracy],
        mean_accuracy=float(accuracy.mean()),
        history=[
            {name: _finite(values) for name, values in record["history"].items()}
            for record in records
        ],
        epochs=[record["epochs"] for record in records],
        trained_on=records[0]["trained_on"],
        best_epoch=[record["best_epoch"] for record in records],
        train_seconds=[sum(record["epoch_seconds"]) for record in records],
        images_per_second=[record["images_per_second"] for record in records],
        peak_memory_mb=max(record["peak_memory_mb"] for record in records),
        devices=records[0]["devices"],
        trials=[{key: _finite([value])[0] for key, value in trial.items()} for trial in trials],
    )


def _finite(values: list[Any]) -> list[Any]:
    """JSON has no NaN and no infinity: a figure that is none of the numbers is None."""
    return [
        None if isinstance(value, float) and not math.isfinite(value) else value for value in values
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("twintrain", *_PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
