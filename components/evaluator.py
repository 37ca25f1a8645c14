"""The Evaluator: TFX's own, comparing the loop twin (candidate) with the fit twin (baseline) slice
by slice.
"""

from __future__ import annotations

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components import Evaluator

from components.paired_metric import PairedAccuracy
from twintrain.recipe.sections import ComparisonRules

ACCURACY = "accuracy"


def twin_evaluator(
    examples: types.BaseChannel,
    schema: types.BaseChannel,
    candidate: types.BaseChannel,
    baseline: types.BaseChannel,
    comparison: ComparisonRules,
) -> Evaluator:
    """An Evaluator over raw test examples; both twins are called through their serving signature."""
    return Evaluator(
        examples=examples,
        schema=schema,
        model=candidate,
        baseline_model=baseline,
        example_splits=["eval"],
        eval_config=eval_config(comparison),
    )


def eval_config(comparison: ComparisonRules) -> tfma.EvalConfig:
    """Slices, accuracy of both twins and their difference, and the thresholds for a blessing."""
    model = {"signature_name": "serving_default", "label_key": "label"}
    model |= {"preprocessing_function_names": ["transform_features"]}  # type: ignore[dict-item]
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(
            lower_bound={"value": comparison.accuracy_floor}
        ),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER,
            absolute={"value": -comparison.margin_points / 100},
        ),
    )
    accuracy = tfma.MetricConfig(
        class_name="SparseCategoricalAccuracy",
        config=f'{{"name": "{ACCURACY}"}}',
        # The whole decides; a slice of a few examples would withhold the blessing by chance.
        per_slice_thresholds=[
            config_pb2.PerSliceMetricThreshold(
                slicing_specs=[tfma.SlicingSpec()], threshold=threshold
            )
        ],
    )
    paired = tfma.MetricConfig(class_name=PairedAccuracy.__name__, module=PairedAccuracy.__module__)
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(name="candidate", **model),
            tfma.ModelSpec(name="baseline", is_baseline=True, **model),
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(tfma.SlicingSpec(feature_keys=list(keys)) for keys in comparison.slices),
        ],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name="ExampleCount"), accuracy]),
            tfma.MetricsSpec(metrics=[paired], model_names=["candidate"]),
        ],
    )
