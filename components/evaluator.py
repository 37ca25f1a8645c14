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

from components.paired_metric import SCORE, PairedScores
from twintrain.problems.find import statement_of
from twintrain.problems.statement import Statement
from twintrain.problems.task import Task
from twintrain.recipe.recipe import Recipe

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
        eval_config=eval_config(recipe, statement_of(recipe)),
    )


def eval_config(recipe: Recipe, statement: Statement) -> tfma.EvalConfig:
    """Slices, the task's metrics for both twins and their difference, and for a blessing the
    thresholds of the one that is compared.
    """
    model = {"signature_name": "serving_default", "label_key": statement.learned}
    model |= {"preprocessing_function_names": ["transform_features"]}  # type: ignore[dict-item]
    # The whole decides; a slice of a few examples would withhold the blessing by chance.
    limits = config_pb2.PerSliceMetricThreshold(
        slicing_specs=[tfma.SlicingSpec()], threshold=_threshold(recipe, statement)
    )
    count = tfma.MetricConfig(class_name="ExampleCount")
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(name=CANDIDATE, **model),
            tfma.ModelSpec(name=BASELINE, is_baseline=True, **model),
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(
                tfma.SlicingSpec(feature_keys=[statement.column_of(key) for key in keys])
                for keys in statement.slices_of(recipe)
            ),
        ],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[count, *map(_metric, statement.task.metrics())]),
            tfma.MetricsSpec(
                metrics=[_paired(statement.task)],
                model_names=[CANDIDATE],
                per_slice_thresholds={
                    SCORE: config_pb2.PerSliceMetricThresholds(thresholds=[limits])
                },
            ),
        ],
    )


def _metric(metric: keras.Metric) -> tfma.MetricConfig:
    """A Keras metric as TFMA makes it; what it computes in is TFMA's own affair."""
    config = {key: value for key, value in metric.get_config().items() if key != "dtype"}
    if isinstance(metric, keras.metrics.AUC):
        # TFMA counts this one by a combiner of its own, which has no more settings.
        config = {key: config[key] for key in ("name", "num_thresholds", "curve")}
    return tfma.MetricConfig(class_name=type(metric).__name__, config=json.dumps(config))


def _paired(task: Task) -> tfma.MetricConfig:
    return tfma.MetricConfig(
        class_name=PairedScores.__name__,
        module=PairedScores.__module__,
        config=json.dumps({"task": task.text}),
    )


def _threshold(recipe: Recipe, statement: Statement) -> tfma.MetricThreshold:
    metric, limit = statement.task.metric, recipe.comparison.threshold
    worse = statement.margin_of(recipe) / metric.scale
    better = tfma.MetricDirection.HIGHER_IS_BETTER
    if not metric.higher_is_better:
        better = tfma.MetricDirection.LOWER_IS_BETTER
    threshold = tfma.MetricThreshold(
        change_threshold=tfma.GenericChangeThreshold(
            direction=better, absolute={"value": -worse if metric.higher_is_better else worse}
        )
    )
    if limit is not None:
        bound = "lower_bound" if metric.higher_is_better else "upper_bound"
        threshold.value_threshold.CopyFrom(tfma.GenericValueThreshold(**{bound: {"value": limit}}))
    return threshold
