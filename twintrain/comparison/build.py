"""From the records of the two trainings to a `Comparison`."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twintrain.attribution.result import Explanation
from twintrain.comparison.comparison import (
    Comparison,
    Counted,
    EvaluatorMetric,
    EvaluatorResult,
    Outperforming,
    Parity,
    Slice,
    TwinSummary,
)
from twintrain.comparison.mistakes import confusion, disagreements
from twintrain.comparison.predictions import Folders, PairedPredictions, load_predictions
from twintrain.comparison.push_decision import PushDecision
from twintrain.comparison.sanity import warnings_of
from twintrain.comparison.sentence import sentence
from twintrain.comparison.slice_search import search_slices
from twintrain.comparison.slices import (
    OVERALL,
    Rules,
    SliceValues,
    check_against_evaluator,
    compare_slices,
    left_out,
    masks,
    remarks,
)
from twintrain.data.target_leak import told_leaks
from twintrain.parity.divergence import LockstepResult
from twintrain.parity.run_agreement import SeedAgreement
from twintrain.problems.metric import Metric
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import TWINS, Recipe, TwinName
from twintrain.statistics.paired import outperformance
from twintrain.training.seed_record import SeedRecord

_PACKAGES = ("tensorflow", "keras", "keras-tuner", "numpy", "tfx", "apache-beam")


@dataclass(frozen=True)
class FromPipeline:
    """What only the pipeline knows.

    Attributes:
        evaluator: slice name -> what the Evaluator counted for the first seed.
        metrics: name -> (fit, loop), as the Evaluator computed them for the first seed.
        blessed: the Evaluator's blessing.
        push: what came of the thresholds.
    """

    evaluator: dict[str, Counted]
    metrics: dict[str, tuple[float, float]]
    blessed: bool
    push: PushDecision


@dataclass(frozen=True)
class Inputs:
    """What a comparison is made of.

    Attributes:
        recipe: the comparison's recipe.
        problem: what was learned; judges the outputs.
        records: per twin, the folder of its records.
        agreement: per seed.
        slice_values: by slice key, the value of each test example, int64 [n], in canonical order.
        data: per split, the number of examples and, where targets are classes, of each label.
        trials: per twin, its tuning trials; none where nothing was searched.
        lockstep: the first steps, side by side; None where they were not compared.
        pipeline: what only the pipeline knows; None without it.
        attribution: the experiment's result; None when it was not asked for.
    """

    recipe: Recipe
    problem: Problem
    records: Folders
    agreement: list[SeedAgreement]
    slice_values: SliceValues
    data: dict[str, Any]
    trials: Mapping[TwinName, list[dict[str, Any]]] = field(default_factory=dict)
    lockstep: LockstepResult | None = None
    pipeline: FromPipeline | None = None
    attribution: Explanation | None = None


def build_comparison(inputs: Inputs) -> Comparison:
    """Compare the twins slice by slice.

    Raises:
        TwintrainError: the records do not belong together, a twin predicts NaN, or the Evaluator's
            figures contradict the recorded predictions.
    """
    recipe, problem, metric = inputs.recipe, inputs.problem, inputs.problem.task.metric
    predictions = load_predictions(recipe, problem.task, inputs.records)
    parity = _parity(inputs)
    identical = parity.max_abs_difference == 0 and parity.same_batches
    identical = identical and not predictions.differences.any()
    sliced = (recipe, problem, inputs.slice_values, predictions.targets)
    chosen = masks(*sliced)
    margin = problem.statement.margin_of(recipe)
    rules = Rules(metric, margin, recipe.seeds)
    slices = compare_slices(rules, predictions, chosen, identical)
    twins = {twin: _summary(inputs, twin, predictions) for twin in TWINS}
    if inputs.pipeline is not None:
        devices = {twin: summary.devices for twin, summary in twins.items()}
        check_against_evaluator(
            predictions, metric, chosen, slices, inputs.pipeline.evaluator, devices
        )
    overall, classes = slices[0], problem.spec.classes
    notes = list(remarks(recipe, problem, slices, inputs.data, left_out(*sliced)))
    if not identical:
        notes += search_slices(recipe, problem, inputs.slice_values, predictions, rules)
    count, apart = (0, []) if classes is None else disagreements(recipe, predictions)
    return Comparison(
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        verdict=overall.verdict,
        sentence=sentence(overall, rules, recipe, parity),
        metric=metric,
        gap=overall.difference,
        gap_ci95=overall.ci95,
        margin=margin,
        seeds=list(recipe.seeds),
        twins=twins,
        outperforming=_outperforming(overall, metric),
        slices=slices,
        parity=parity,
        evaluator=_evaluator(inputs),
        push=inputs.pipeline.push if inputs.pipeline else None,
        attribution=inputs.attribution,
        confusion=None if classes is None else confusion(predictions, classes),
        disagreement_count=count,
        disagreements=apart,
        data=inputs.data,
        label_names=[
            problem.slice_value_name(recipe, problem.statement.target, label)
            for label in range(classes or 0)
        ],
        warnings=_warnings(inputs, twins),
        notes=notes,
        recipe_name=recipe.name,
        recipe_hash=recipe.hash,
        recipe=recipe.model_dump(mode="json"),
        deviations=dict(recipe.loop),
        versions=_versions(),
    )


def _warnings(inputs: Inputs, twins: Mapping[TwinName, TwinSummary]) -> list[str]:
    """What a reader has to know first."""
    of_trainings = warnings_of(inputs.recipe, inputs.problem, inputs.records, twins)
    return [*told_leaks(inputs.data), *of_trainings]


def _parity(inputs: Inputs) -> Parity:
    order = inputs.recipe.seeds.index
    agreement = sorted(inputs.agreement, key=lambda seed: order(seed.seed))
    return Parity(
        max_abs_difference=max(seed.max_abs_difference for seed in agreement),
        same_batches=all(seed.same_batches for seed in agreement),
        same_history=all(seed.same_history for seed in agreement),
        seeds=agreement,
        lockstep=inputs.lockstep,
    )


def _evaluator(inputs: Inputs) -> EvaluatorResult | None:
    if inputs.pipeline is None:
        return None
    measured = inputs.pipeline.evaluator
    whole = measured[OVERALL]
    return EvaluatorResult(
        seed=inputs.recipe.seeds[0],
        fit_score=whole.fit_score,
        loop_score=whole.loop_score,
        metrics={
            name: EvaluatorMetric(fit=fit, loop=loop)
            for name, (fit, loop) in inputs.pipeline.metrics.items()
        },
        slices=measured,
        blessed=inputs.pipeline.blessed,
    )


def _outperforming(overall: Slice, metric: Metric) -> Outperforming | None:
    if len(overall.seeds) < 2:
        return None
    found = outperformance(
        np.array([seed.difference for seed in overall.seeds])
        * (1 if metric.higher_is_better else -1)
    )
    return Outperforming(probability=found.probability, ci95=(found.low, found.high))


def _summary(inputs: Inputs, twin: TwinName, predictions: PairedPredictions) -> TwinSummary:
    records = [
        SeedRecord.read(SeedRecord.place(inputs.records[twin], seed)).figures
        for seed in inputs.recipe.seeds
    ]
    scores = predictions.scores[twin].mean(axis=1)
    trials = inputs.trials.get(twin, [])
    return TwinSummary(
        scores=[float(value) for value in scores],
        mean_score=float(scores.mean()),
        history=[
            {name: _finite(values) for name, values in record.history.items()} for record in records
        ],
        epochs=[record.epochs for record in records],
        trained_on=records[0].trained_on,
        best_epoch=[record.best_epoch for record in records],
        train_seconds=[sum(record.epoch_seconds) for record in records],
        images_per_second=[record.images_per_second for record in records],
        peak_memory_mb=max(record.peak_memory_mb for record in records),
        devices=records[0].devices,
        at_once=any(record.at_once for record in records),
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
