"""The Evaluator: TFX's own, comparing the loop twin (candidate) with the fit twin (baseline) slice
by slice.
"""

from __future__ import annotations

import json

import keras
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components import Evaluator

from components.paired_metric import PairedScores
from twintrain.problems.find import class_path, problem_class
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import Recipe
from twintrain.recipe.sections import ComparisonRules

CANDIDATE, BASELINE = "candidate", "baseline"


def twin_evaluator(
    examples: types.BaseChannel,
    schema: types.BaseChannel,
    candidate: types.BaseChannel,
    baseline: types.BaseChannel,
    recipe: Recipe,
) -> Evaluator:
    """An Evaluator over raw test examples; both twins are called through their signature."""
    return Evaluator(
        examples=examples,
        schema=schema,
        model=candidate,
        baseline_model=baseline,
        example_splits=["eval"],
        eval_config=eval_config(recipe.comparison, problem_class(recipe)),
    )


def eval_config(comparison: ComparisonRules, problem: type[Problem]) -> tfma.EvalConfig:
    """Slices, the problem's metrics for both twins and their difference, and the thresholds of the
    primary one for a blessing.
    """
    model = {"signature_name": "serving_default", "label_key": problem.TARGET}
    model |= {"preprocessing_function_names": ["transform_features"]}  # type: ignore[dict-item]
    primary, *others = (_metric(metric) for metric in problem.metrics())
    # The whole decides; a slice of a few examples would withhold the blessing by chance.
    primary.per_slice_thresholds.append(
        config_pb2.PerSliceMetricThreshold(
            slicing_specs=[tfma.SlicingSpec()], threshold=_threshold(comparison)
        )
    )
    count = tfma.MetricConfig(class_name="ExampleCount")
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(name=CANDIDATE, **model),
            tfma.ModelSpec(name=BASELINE, is_baseline=True, **model),
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(tfma.SlicingSpec(feature_keys=list(keys)) for keys in comparison.slices),
        ],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[count, primary, *others]),
            tfma.MetricsSpec(metrics=[_paired(problem)], model_names=[CANDIDATE]),
        ],
    )


def _metric(metric: keras.Metric) -> tfma.MetricConfig:
    """A Keras metric as TFMA makes it; what it computes in is TFMA's own affair."""
    config = {key: value for key, value in metric.get_config().items() if key != "dtype"}
    return tfma.MetricConfig(class_name=type(metric).__name__, config=json.dumps(config))


def _paired(problem: type[Problem]) -> tfma.MetricConfig:
    return tfma.MetricConfig(
        class_name=PairedScores.__name__,
        module=PairedScores.__module__,
        config=json.dumps({"problem": class_path(problem)}),
    )


def _threshold(comparison: ComparisonRules) -> tfma.MetricThreshold:
    return tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(
            lower_bound={"value": comparison.accuracy_floor}
        ),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER,
            absolute={"value": -comparison.margin_points / 100},
        ),
    )
